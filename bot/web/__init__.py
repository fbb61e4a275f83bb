"""The web console: a chat page, the API behind it, and the delivery that streams to it. This is its routing table."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from aiohttp import web

from bot.conversation import Conversation
from bot.errors import SettingsError
from bot.messages import Platform
from bot.web.delivery import WebDelivery
from bot.web.events import Pace
from bot.web.guard import add_headers, guard
from bot.web.handlers import STATIC, Api, Surroundings
from bot.web.library import Library

__all__ = ["Library", "WebAdapter", "WebDelivery"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class WebAdapter:
    """The console as a platform beside Slack and Teams."""

    platform = Platform.WEB

    def __init__(
        self,
        conversation: Conversation,
        delivery: WebDelivery,
        library: Library,
        tenant: str,
        *,
        suggestions: Sequence[str] = (),
        pace: Pace | None = None,
        now: Callable[[], datetime] = _utc_now,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """`suggestions` are example questions for the empty page; the rest is passed in by tests."""
        self.delivery = delivery
        around = Surroundings(tenant, tuple(suggestions), now, random, pace or Pace())
        self._api = Api(conversation, delivery.hub, library, around)

    def add_routes(self, app: web.Application) -> None:
        """Add the console to the loopback listener. Its guard covers the whole application, `/metrics` included."""
        api = self._api
        app.middlewares.append(guard)
        app.on_response_prepare.append(add_headers)
        app.on_shutdown.append(self._end_streams)
        app.add_routes(
            [
                web.get("/", api.page),
                web.get("/api/start", api.start),
                web.post("/api/questions", api.ask),
                web.get("/api/questions/{question_id}/events", api.events),
                web.get("/api/conversations/{conversation}", api.exchanges),
                web.put("/api/answers/{reply_id}/vote", api.vote),
                web.get("/api/documents/{passage_id}", api.document),
                web.static("/static", STATIC),
            ]
        )

    async def start(self) -> None:
        """Nothing to connect to: the console is served by the listener it was added to."""

    async def check(self) -> None:
        """Raise `SettingsError` if the page was not installed with the program."""
        if not (STATIC / "index.html").is_file():
            raise SettingsError("The console's page is missing from the installation: install promptai again.")

    async def close(self) -> None:
        """End the open event streams, so that the listener can stop at once."""
        self.delivery.hub.close()

    async def _end_streams(self, _app: web.Application) -> None:
        await self.close()
