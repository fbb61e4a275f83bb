"""The messages of one reply: posted in the question's thread exactly once, or updated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from bot.messages import Question
from bot.slack.api import SlackRefused
from bot.slack.calls import Calls
from bot.slack.recovery import find_part, look_for_part, metadata
from bot.slack.rendering import Look, SlackMessage

log = structlog.get_logger(__name__)

T = TypeVar("T")

BLOCKS_REFUSED = frozenset({"invalid_blocks", "invalid_blocks_format"})
TOO_LONG = frozenset({"msg_blocks_too_long", "msg_too_long"})
MESSAGE_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})

PLAIN = {"parse": "none", "link_names": False}
"""Names and addresses in the text stay text."""

QUIET = {**PLAIN, "unfurl_links": False, "unfurl_media": False}


class Poster:
    """Posts and updates a reply's messages. Raises `SlackRefused` and `SlackUnavailable`."""

    def __init__(self, calls: Calls, question: Question, *, keep_long: bool = False, must_look: bool = False) -> None:
        """`keep_long`: a message that Slack finds too long is shown without blocks instead of refused.

        `must_look`: nothing is posted where Slack does not say whether it stands there.
        """
        self._find = look_for_part if must_look else find_part
        self._calls = calls
        self._question = question
        self._tolerated = BLOCKS_REFUSED | TOO_LONG if keep_long else BLOCKS_REFUSED

    async def post(self, message: SlackMessage, *, part: int, look_first: bool, unlike: str = "") -> str:
        """Post a part of the reply in the thread and return its ts; with `look_first` only if it is not there."""

        async def post(look: Look) -> str:
            arguments = {
                "channel": self._question.conversation,
                "thread_ts": self._question.thread,
                "text": look.text,
                "metadata": metadata(self._question, part),
                **QUIET,
                **({"blocks": look.blocks} if look.blocks else {}),
            }

            async def attempt(maybe_done: bool) -> str:
                if look_first or maybe_done:
                    found = await self.find(part)
                    if found and found != unlike:
                        return found
                return str((await self._calls.once("chat.postMessage", arguments))["ts"])

            return await self._calls.persist(attempt)

        return await self._with_best_look(message, post)

    async def update(self, ts: str, message: SlackMessage, *, part: int) -> bool:
        """Replace what stands there; False if it is gone."""

        async def update(look: Look) -> None:
            where = {"channel": self._question.conversation, "ts": ts}
            content = {"text": look.text, "blocks": look.blocks, "metadata": metadata(self._question, part)}
            await self._calls.must("chat.update", {**where, **content, **PLAIN})

        try:
            await self._with_best_look(message, update)
        except SlackRefused as refused:
            if refused.code not in MESSAGE_GONE:
                raise
            log.info("slack_message_gone", question=self._question.id, part=part, reason=refused.code)
            return False
        return True

    async def find(self, part: int) -> str | None:
        """The ts of a part that stands in the thread."""
        return await self._find(self._calls, self._question, part)

    async def _with_best_look(self, message: SlackMessage, send: Callable[[Look], Awaitable[T]]) -> T:
        """Send the message as well as Slack lets us: with thumbs, without them, as plain text."""
        *better, plain = message.looks
        for look in better:
            try:
                return await send(look)
            except SlackRefused as refused:
                if refused.code not in self._tolerated:
                    raise
                log.warning("slack_blocks_refused", reason=refused.code)
        return await send(plain)
