"""`Delivery` for Slack: a placeholder in the thread, updated while the answer is written, replaced by the answer."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import structlog

from bot.delivery import Opened, Progress
from bot.messages import Apology, Question, Reply
from bot.slack.api import SlackApi, SlackRefused, SlackUnavailable
from bot.slack.budget import Budget, LocalBudget
from bot.slack.rendering import Look, SlackMessage, live_text, placeholder, render_apology, render_reply
from bot.slack.updates import MESSAGE_INTERVAL, LiveUpdates
from pipeline.types import Stage, StageStarted

log = structlog.get_logger(__name__)

T = TypeVar("T")

EVENT_TYPE = "promptai_reply"
"""Marks our messages (their metadata carries the question's id), so that they are found again after a crash."""

BLOCKS_REFUSED = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"})
MESSAGE_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
REMEMBERED = 1_000
"""Replies opened by this process, of which it knows what has been posted."""

_PLAIN = {"parse": "none", "link_names": False}
"""Names and addresses in the text stay text."""

_QUIET = {**_PLAIN, "unfurl_links": False, "unfurl_media": False}


ApiFor = Callable[[Mapping[str, str]], Awaitable[SlackApi]]
"""How to call Slack for the workspace that a question's `address` names (`Workspaces.api`)."""


class SlackDelivery:
    """Replies in the question's thread. Time and waiting are passed in by tests."""

    def __init__(
        self,
        api_for: ApiFor,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        interval: float = MESSAGE_INTERVAL,
        budget: Budget | None = None,
    ) -> None:
        self._api_for = api_for
        self._updates = LiveUpdates(
            self._show, budget or LocalBudget(clock=clock), clock=clock, sleep=sleep, interval=interval
        )
        self._posted: OrderedDict[str, set[int]] = OrderedDict()
        """By question: which parts of its reply this process has posted."""

    async def open(self, question: Question, *, recovering: bool) -> str:
        """Post a placeholder in the thread, or find the one from before a crash."""
        return await self._post(question, SlackMessage((Look(placeholder()),)), part=0, look_first=recovering)

    async def status(self, opened: Opened, progress: Progress) -> None:
        """Name the stage in the placeholder, which begins with the first one: every update counts at Slack."""
        if isinstance(progress, StageStarted) and progress.stage is not Stage.DRAFTING:
            self._updates.offer(opened, partial(placeholder, progress.stage), is_answer=False)

    async def append(self, opened: Opened, text: str) -> None:
        """Show the text so far."""
        self._updates.offer(opened, partial(live_text, text), is_answer=True)

    async def finish(self, opened: Opened, reply: Reply) -> None:
        """Replace the placeholder by the answer; what does not fit follows in further messages."""
        first, *further = render_reply(reply, opened.reply_id)
        await self._replace(opened, first)
        # Posted by an earlier process, perhaps: then only Slack knows.
        known = self._posted.get(opened.question.id)
        for part, message in enumerate(further, start=1):
            if known is None or part not in known:
                await self._post(opened.question, message, part=part, look_first=known is None)

    async def fail(self, opened: Opened, apology: Apology) -> None:
        """Replace the placeholder by the apology."""
        await self._replace(opened, render_apology(apology))

    async def close(self) -> None:
        """Drop intermediate updates that wait."""
        await self._updates.close()

    async def _show(self, opened: Opened, text: str) -> None:
        arguments = {"channel": opened.question.conversation, "ts": opened.reply_id, "text": text, **_PLAIN}
        api = await self._api_for(opened.question.address)
        await api.call("chat.update", arguments)

    async def _replace(self, opened: Opened, message: SlackMessage) -> None:
        """Update the reply; if somebody deleted it, post it anew."""
        await self._updates.stop(opened)
        api = await self._api_for(opened.question.address)

        async def update(look: Look) -> None:
            where = {"channel": opened.question.conversation, "ts": opened.reply_id}
            arguments = {**where, "text": look.text, "blocks": look.blocks, **_PLAIN}
            await api.persist(lambda _maybe_done: api.call("chat.update", arguments))

        try:
            await self._with_best_look(message, update)
        except SlackRefused as refused:
            if refused.code not in MESSAGE_GONE:
                raise refused.translated() from refused
            log.info("slack_reply_posted_anew", question=opened.question.id, reason=refused.code)
            await self._post(opened.question, message, part=0, look_first=True, unlike=opened.reply_id)

    async def _post(
        self, question: Question, message: SlackMessage, *, part: int, look_first: bool, unlike: str = ""
    ) -> str:
        """Post a part of a reply in the thread and return its ts; with `look_first` only if it is not there."""
        api = await self._api_for(question.address)

        async def post(look: Look) -> str:
            arguments = {
                "channel": question.conversation,
                "thread_ts": question.thread,
                "text": look.text,
                "metadata": {
                    "event_type": EVENT_TYPE,
                    "event_payload": {"question_id": question.id, "part": str(part)},
                },
                **_QUIET,
            }
            if look.blocks:
                arguments["blocks"] = look.blocks

            async def attempt(maybe_done: bool) -> str:
                if look_first or maybe_done:
                    found = await self._find(api, question, part)
                    if found and found != unlike:
                        return found
                return str((await api.call("chat.postMessage", arguments))["ts"])

            return await api.persist(attempt)

        try:
            ts = await self._with_best_look(message, post)
        except SlackRefused as refused:
            raise refused.translated() from refused
        self._remember(question.id, part)
        return ts

    async def _with_best_look(self, message: SlackMessage, send: Callable[[Look], Awaitable[T]]) -> T:
        """Send the message as well as Slack lets us: with thumbs, without them, as plain text."""
        *better, plain = message.looks
        for look in better:
            try:
                return await send(look)
            except SlackRefused as refused:
                if refused.code not in BLOCKS_REFUSED:
                    raise
                log.warning("slack_blocks_refused", reason=refused.code)
        return await send(plain)

    async def _find(self, api: SlackApi, question: Question, part: int) -> str | None:
        """The ts of a part that was posted before, or None: also where Slack does not let us look.

        Then the part may be posted twice, which is better than never.
        """
        cursor = ""
        while True:
            arguments = {
                "channel": question.conversation,
                "ts": question.thread,
                "oldest": question.message_id,
                "include_all_metadata": True,
                "limit": 200,
                **({"cursor": cursor} if cursor else {}),
            }
            try:
                page = await api.persist(partial(_replies, api, arguments))
            except (SlackRefused, SlackUnavailable) as error:
                log.warning("slack_thread_unreadable", question=question.id, error=str(error))
                return None
            for message in page.get("messages") or []:
                if _is_part(message, question.id, part):
                    return str(message["ts"])
            cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return None

    def _remember(self, question_id: str, part: int) -> None:
        if part and question_id not in self._posted:
            return
        self._posted.setdefault(question_id, set()).add(part)
        while len(self._posted) > REMEMBERED:
            self._posted.popitem(last=False)


async def _replies(api: SlackApi, arguments: Mapping[str, Any], _maybe_done: bool) -> Mapping[str, Any]:
    return await api.call("conversations.replies", arguments, verb="GET")


def _is_part(message: Mapping[str, Any], question_id: str, part: int) -> bool:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") or {}
    return bool(
        metadata.get("event_type") == EVENT_TYPE
        and payload.get("question_id") == question_id
        and payload.get("part") == str(part)
    )
