"""The event stream of one question (server-sent events): the state so far, then each change, then the end.

A stream holds no history. It compares the latest snapshot with the one it sent last, so joining late, joining again and
falling behind are the same case.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from bot.errors import StoreUnavailable
from bot.web.hub import Failed, Finished, Hub, Snapshot, Watch
from bot.web.payloads import draft_json, failed_json, finished_json, hits_json

log = structlog.get_logger(__name__)

HEARTBEAT = b": still working\n\n"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an idle stream looks around; in seconds."""

    look: float = 1.0
    """Between two looks whether the browser is still there."""
    heartbeat: float = 10.0
    """Between two signs of life, each with a look at the store: another replica may have answered."""


class Client(Protocol):
    """The browser's end of a stream."""

    @property
    def gone(self) -> bool: ...

    async def send(self, data: bytes) -> None:
        """Raises `ConnectionError` when the browser is gone."""


def difference(sent: Snapshot, now: Snapshot) -> Iterator[bytes]:
    """The events that take a page from one snapshot to another."""
    if now.stage is not None and now.stage != sent.stage and now.end is None:
        yield encode("status", {"stage": now.stage})
    if now.draft is not None and now.draft != sent.draft:
        yield encode("draft", draft_json(now.draft))
    if now.hits is not None and now.hits != sent.hits:
        yield encode("passages", {"hits": hits_json(now.hits)})
    if now.text != sent.text and now.end is None:
        grown = bool(sent.text) and now.text.startswith(sent.text)
        yield encode("text", {"text": now.text[len(sent.text) :] if grown else now.text, "replace": not grown})
    match now.end:
        case Finished():
            yield encode("answer", finished_json(now.end))
        case Failed():
            yield encode("apology", failed_json(now.end))
        case None:
            pass


def encode(name: str, data: dict[str, Any]) -> bytes:
    """One server-sent event; JSON holds no line break, so one `data:` line is enough."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


@dataclass(frozen=True, slots=True)
class Stream:
    """One browser that follows one question."""

    hub: Hub
    question_id: str
    conversation: str
    stored: Callable[[], Awaitable[Snapshot | None]]
    """Reads the exchange in the database; None if it is not there. Raises `StoreUnavailable`."""
    client: Client
    pace: Pace

    async def run(self, first: Snapshot) -> None:
        """Send `first` and what follows until the reply ends, the browser leaves or the hub closes."""
        with self.hub.watch(self.question_id) as watch:
            sent, now = Snapshot(), self._latest(first)
            try:
                while not self.client.gone:
                    for event in difference(sent, now):
                        await self.client.send(event)
                    sent = now
                    if now.end is not None or self.hub.closed:
                        return
                    now = await self._next(watch, now)
            except ConnectionError:
                log.debug("console_reader_left", question=self.question_id)

    def _latest(self, last: Snapshot) -> Snapshot:
        return self.hub.snapshot(self.question_id, self.conversation) or last

    async def _next(self, watch: Watch, last: Snapshot) -> Snapshot:
        """The next snapshot worth sending; `last` again when the browser or the hub is gone."""
        quiet = 0.0
        while not (self.client.gone or self.hub.closed):
            if await watch.changed(self.pace.look):
                return self._latest(last)
            quiet += self.pace.look
            if quiet >= self.pace.heartbeat:
                quiet = 0.0
                await self.client.send(HEARTBEAT)
                if (stored := await self._ended_elsewhere()) is not None:
                    return stored
        return last

    async def _ended_elsewhere(self) -> Snapshot | None:
        """The stored end, where another replica has reached it."""
        try:
            stored = await self.stored()
        except StoreUnavailable as exc:
            log.warning("console_store_unavailable", question=self.question_id, error=str(exc))
            return None
        return stored if stored is not None and stored.end is not None else None
