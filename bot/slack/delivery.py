"""`Delivery` for Slack: a stream in the thread, or a placeholder that is updated; then the finished answer in its place."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from bot.delivery import Opened, Progress, ReplyLog
from bot.messages import Apology, Question, Reply
from bot.slack.api import SlackApi, SlackRefused, SlackUnavailable
from bot.slack.budget import Budget, LocalBudget
from bot.slack.calls import Calls
from bot.slack.posting import PLAIN, Poster
from bot.slack.recovery import ShownBy, find_stream
from bot.slack.rendering import (
    PART_CHARS,
    Look,
    SlackMessage,
    live_text,
    placeholder,
    render_apology,
    render_reply,
    stage_text,
)
from bot.slack.streams import Streams
from bot.slack.updates import MESSAGE_INTERVAL, Live, LiveUpdates
from pipeline.types import Stage, StageStarted

log = structlog.get_logger(__name__)

SIZES = (PART_CHARS, PART_CHARS // 2, PART_CHARS // 4)
"""Characters of one message; smaller when Slack finds a message too long after all."""

TOO_LONG = frozenset({"msg_too_long", "msg_blocks_too_long"})
REMEMBERED = 1_000
NOTE = -1
"""In the place of a part's number: what is posted long after the reply."""

ApiFor = Callable[[Mapping[str, str]], Awaitable[SlackApi]]
"""How to call Slack for the workspace that a question's `address` names (`Workspaces.api`)."""


class Replies(ReplyLog, ShownBy, Protocol):
    """Where messages of replies are written down. Implemented by `bot.store.SqlStore`."""


class SlackDelivery:
    """Replies in the question's thread. Time and waiting are passed in by tests."""

    looks_first = True

    def __init__(
        self,
        api_for: ApiFor,
        replies: Replies,
        *,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        interval: float = MESSAGE_INTERVAL,
    ) -> None:
        self._api_for = api_for
        self._replies = replies
        self._budget = budget or LocalBudget(clock=clock)
        self._sleep = sleep
        self._streams = Streams(clock)
        self._updates = LiveUpdates(
            self._show, self._budget, method=self._method, clock=clock, sleep=sleep, interval=interval
        )
        self._fresh: OrderedDict[str, None] = OrderedDict()
        """Questions whose reply this process has opened and not yet tried to finish: nothing else of it can be there."""
        self._statuses: OrderedDict[str, None] = OrderedDict()
        """Questions in whose thread a status line is shown."""
        self._found: set[str] = set()

    async def open(self, question: Question, *, recovering: bool) -> str:
        """Start a stream or post a placeholder in the thread, or find what was opened before a crash."""
        calls = await self._calls(question)
        poster = Poster(calls, question)
        if recovering and (found := await self._found_open(calls, poster, question)):
            return found
        try:
            ts = await self._streams.start(calls, question)
        except SlackUnavailable as error:
            log.info("slack_stream_not_started", question=question.id, error=str(error))
            ts = await find_stream(calls, question, self._replies, self._found) if error.maybe_done else None
            if ts is not None:
                self._streams.adopt(question, ts)
        if ts is None:
            try:
                ts = await poster.post(placeholder(), part=0, look_first=False)
            except SlackRefused as refused:
                raise refused.translated() from refused
        _remember(self._fresh, question.id)
        return ts

    async def status(self, opened: Opened, progress: Progress) -> None:
        """Name the stage: below a stream's thread, or in the placeholder, which begins with the first one."""
        if isinstance(progress, StageStarted):
            begun = progress.stage is Stage.DRAFTING and not self._streams.alive(opened)
            if not begun:
                self._updates.offer(opened, progress.stage)

    async def append(self, opened: Opened, text: str) -> None:
        """Show the text so far."""
        self._updates.offer(opened, text)

    async def finish(self, opened: Opened, reply: Reply) -> None:
        """Replace what stands there by the answer; what does not fit follows in further messages."""
        calls = await self._quiet(opened)
        for size in SIZES:
            try:
                await self._finish(calls, opened, reply, size)
            except SlackRefused as refused:
                if refused.code in TOO_LONG and size != SIZES[-1]:
                    log.info("slack_reply_split_further", question=opened.question.id, size=size)
                    continue
                raise refused.translated() from refused
            return

    async def fail(self, opened: Opened, apology: Apology) -> None:
        """Replace what stands there by the apology."""
        calls = await self._quiet(opened)
        try:
            await self._replace(Poster(calls, opened.question), opened, render_apology(apology))
        except SlackRefused as refused:
            raise refused.translated() from refused

    async def note(self, question: Question, text: str) -> None:
        """Post a line in the thread, unless it stands there."""
        poster = Poster(await self._calls(question), question, must_look=True)
        try:
            await poster.post(SlackMessage((Look(live_text(text)),)), part=NOTE, look_first=True)
        except SlackRefused as refused:
            raise refused.translated() from refused

    async def close(self) -> None:
        """Drop intermediate updates that wait."""
        await self._updates.close()

    async def _finish(self, calls: Calls, opened: Opened, reply: Reply, size: int) -> None:
        """Every part once: those that stand there are updated, the others posted."""
        poster = Poster(calls, opened.question, keep_long=size == SIZES[-1])
        first, *further = render_reply(reply, opened.reply_id, size)
        await self._replace(poster, opened, first)
        fresh = self._fresh.pop(opened.question.id, False) is None
        known = await self._replies.messages(opened.question.id) if further else {}
        for part, message in enumerate(further, start=1):
            before = known.get(part)
            if before and await poster.update(before, message, part=part):
                continue
            ts = await poster.post(message, part=part, look_first=not fresh, unlike=before or "")
            await self._replies.add_message(opened.question.id, part, ts)

    async def _replace(self, poster: Poster, opened: Opened, message: SlackMessage) -> None:
        """Update the reply; if somebody deleted it, post it anew."""
        if not await poster.update(opened.reply_id, message, part=0):
            ts = await poster.post(message, part=0, look_first=True, unlike=opened.reply_id)
            await self._replies.add_message(opened.question.id, 0, ts)

    async def _quiet(self, opened: Opened) -> Calls:
        """Nothing intermediate is sent any more, and the message may be updated."""
        calls = await self._calls(opened.question)
        await self._updates.stop(opened)
        if self._statuses.pop(opened.question.id, False) is None:
            await calls.try_spare("assistant.threads.setStatus", _status(opened.question, ""))
        await self._streams.stop(calls, opened, maybe=opened.question.id not in self._fresh)
        return calls

    async def _show(self, opened: Opened, live: Live) -> None:
        calls = await self._calls(opened.question)
        if isinstance(live, Stage) and self._streams.alive(opened):
            _remember(self._statuses, opened.question.id)
            try:
                await calls.taken("assistant.threads.setStatus", _status(opened.question, stage_text(live)))
            except SlackRefused as refused:
                log.info("slack_status_refused", reason=refused.code)
        elif self._streams.alive(opened):
            await self._streams.append(calls, opened, live)
        else:
            await self._streams.stop(calls, opened, maybe=opened.question.id not in self._fresh)
            text = placeholder(live).looks[0].text if isinstance(live, Stage) else live_text(live)
            where = {"channel": opened.question.conversation, "ts": opened.reply_id}
            await calls.taken("chat.update", {**where, "text": text, **PLAIN})

    def _method(self, opened: Opened, live: Live) -> str:
        """What `_show` calls."""
        if not self._streams.alive(opened):
            return "chat.update"
        return "assistant.threads.setStatus" if isinstance(live, Stage) else "chat.appendStream"

    async def _found_open(self, calls: Calls, poster: Poster, question: Question) -> str | None:
        return await poster.find(0) or await find_stream(calls, question, self._replies, self._found)

    async def _calls(self, question: Question) -> Calls:
        api = await self._api_for(question.address)
        return Calls(api, self._budget, question.address.get("team", ""), self._sleep)


def _status(question: Question, status: str) -> dict[str, str]:
    return {"channel_id": question.conversation, "thread_ts": question.thread, "status": status}


def _remember(known: OrderedDict[str, None], question_id: str) -> None:
    known[question_id] = None
    while len(known) > REMEMBERED:
        known.popitem(last=False)
