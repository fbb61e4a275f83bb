"""What stands in a thread already: looked up only where a message may have been posted and its id was lost.

Messages carry the question's id as metadata. A stream takes none before it is stopped: an unfinished one is recognised as
a message of the bot's own that carries none and is no other question's reply.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

import structlog

from bot.messages import Platform, Question
from bot.slack.api import SlackRefused, SlackUnavailable
from bot.slack.calls import Calls

log = structlog.get_logger(__name__)

EVENT_TYPE = "promptai_reply"
"""Marks our messages (their metadata carries the question's id), so that they are found again after a crash."""


class ShownBy(Protocol):
    """Knows what has been recorded. Implemented by `bot.store.SqlStore`; raises `StoreUnavailable`."""

    async def shown_by(
        self, platform: Platform, tenant: str, conversation: str, message_id: str, *, apologies: bool = False
    ) -> object | None:
        """The question whose answer (with `apologies`: whose reply, which may be an apology) a message shows."""


def metadata(question: Question, part: int) -> dict[str, Any]:
    """What a message of a reply carries."""
    return {"event_type": EVENT_TYPE, "event_payload": {"question_id": question.id, "part": str(part)}}


async def find_part(calls: Calls, question: Question, part: int) -> str | None:
    """The ts of a part that was posted before, or None: also where Slack does not let us look.

    Then the part may be posted twice, which is better than never.
    """
    try:
        return await look_for_part(calls, question, part)
    except (SlackRefused, SlackUnavailable) as error:
        log.warning("slack_thread_unreadable", question=question.id, error=str(error))
    return None


async def look_for_part(calls: Calls, question: Question, part: int) -> str | None:
    """The same for what is better never than twice. Raises `SlackRefused` and `SlackUnavailable`."""
    async for message in _thread(calls, question):
        if _is_part(message, question.id, part):
            return str(message["ts"])
    return None


async def find_stream(calls: Calls, question: Question, known: ShownBy, taken: set[str]) -> str | None:
    """The ts of a stream that was started for the question and not recorded. `taken`: what other replies found here."""
    try:
        me = str((await calls.must("auth.test", {})).get("user_id") or "")
        async for message in _thread(calls, question):
            ts = str(message.get("ts") or "")
            ours = message.get("user") == me and not message.get("metadata") and ts > question.message_id.split(":")[0]
            if not ours or ts in taken:
                continue
            taken.add(ts)
            where = (question.platform, question.tenant, question.conversation, ts)
            if await known.shown_by(*where, apologies=True) is None:
                return ts
            taken.discard(ts)
    except (SlackRefused, SlackUnavailable) as error:
        log.warning("slack_thread_unreadable", question=question.id, error=str(error))
    return None


async def _thread(calls: Calls, question: Question) -> AsyncIterator[Mapping[str, Any]]:
    """The messages of the question's thread from it on."""
    cursor = ""
    while True:
        arguments = {
            "channel": question.conversation,
            "ts": question.thread,
            "oldest": question.message_id.split(":")[0],
            "include_all_metadata": True,
            "limit": 200,
            **({"cursor": cursor} if cursor else {}),
        }
        page = await calls.must("conversations.replies", arguments, verb="GET")
        for message in page.get("messages") or []:
            yield message
        cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
        if not cursor:
            return


def _is_part(message: Mapping[str, Any], question_id: str, part: int) -> bool:
    found = message.get("metadata") or {}
    payload = found.get("event_payload") or {}
    return bool(
        found.get("event_type") == EVENT_TYPE
        and payload.get("question_id") == question_id
        and payload.get("part") == str(part)
    )
