"""Slack's streamed messages: the reply appears word by word, at a tenth of an update's price.

A stream is started by the recorded opening of a reply, fed while the answer is written, stopped, and then replaced by the
finished message (`chat.update` on the same ts): what people keep is the same whether it was streamed or not. It may end
early - after five minutes by itself, by a killed process, by an error: the message then goes on with `chat.update`.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import structlog

from bot.delivery import Opened
from bot.messages import Question
from bot.slack.api import SlackRefused
from bot.slack.calls import Calls
from bot.slack.spans import clean
from bot.slack.text import escape

log = structlog.get_logger(__name__)

MAX_CHUNK_CHARS = 8_000
"""Slack takes 12,000 characters a call; some of ours take up to five once escaped."""

MAX_STREAMED_CHARS = 10_000
"""More than one message can show: the rest comes with the finished answer."""

REMEMBERED = 1_000
UNABLE_FOR = 3600.0
"""Seconds for which a workspace without streams is not asked again."""

NOT_HERE = frozenset({"unknown_method", "feature_not_enabled", "not_allowed_token_type", "missing_scope"})
"""Refusals that hold for the workspace, not for one message."""


def live_markdown(text: str) -> str:
    """The answer so far as Markdown for a stream, in which nothing comes to life that hides where it leads.

    A longer text gives a longer result that begins with the shorter one's: every character is replaced by itself or by an
    escape, and one whose meaning depends on the next is held back. Slack renders `**bold**`, lists, tables and code.

    >>> live_markdown("**Go** to [your bank](https://evil.example) <!channel> & [")
    '**Go** to [your bank]\\u200b(https://evil.example) &lt;!channel&gt; &amp; ['
    >>> live_markdown("see [1]")
    'see [1'
    """
    text = clean(text.removesuffix("\r"))
    held = text.removesuffix("]")
    # `[label](url)` and `[label]: url` would hide the URL behind the label.
    return escape(held).replace("](", "]\u200b(").replace("]:", "]\u200b:").replace("][", "]\u200b[")


class Streams:
    """The streams that this process has started."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent: OrderedDict[tuple[str, str], str | None] = OrderedDict()
        """(channel, ts) of the streams that have not been stopped -> what has been appended; None: no more can be."""
        self._stopped: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Messages that are no streams any more, for sure."""
        self._unable_until: dict[str, float] = {}
        """Workspaces that have no streams."""

    def alive(self, opened: Opened) -> bool:
        """True while text may be appended to the reply."""
        return self._sent.get(_key(opened)) is not None

    async def start(self, calls: Calls, question: Question) -> str | None:
        """The ts of a new stream; None where the reply must be posted instead. Raises `SlackUnavailable`."""
        team = question.address.get("team", "")
        if self._unable_until.get(team, 0.0) > self._clock():
            return None
        arguments = {"channel": question.conversation, "thread_ts": question.thread}
        if not question.conversation.startswith("D"):
            arguments |= {"recipient_user_id": question.person.id, "recipient_team_id": question.person.team or team}
        try:
            started = await calls.spare("chat.startStream", arguments)
        except SlackRefused as refused:
            if refused.code in NOT_HERE:
                self._unable_until[team] = self._clock() + UNABLE_FOR
            log.info("slack_stream_refused", question=question.id, reason=refused.code)
            return None
        if started is None:  # the workspace has had its streams for this minute
            return None
        ts = str(started["ts"])
        self.adopt(question, ts)
        return ts

    def adopt(self, question: Question, ts: str) -> None:
        """A stream of ours to which nothing has been appended."""
        self._sent[question.conversation, ts] = ""
        while len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)

    async def append(self, calls: Calls, opened: Opened, text: str) -> None:
        """Append what is new in the text so far; the caller has taken it from the budget. Raises `SlackUnavailable`.

        A refusal ends the stream: the message goes on with updates.
        """
        sent = self._sent.get(_key(opened)) or ""
        shown = live_markdown(text)[:MAX_STREAMED_CHARS]
        if not shown.startswith(sent) or len(shown) == len(sent):
            return
        chunk = shown[len(sent) :][:MAX_CHUNK_CHARS]
        arguments = {"channel": opened.question.conversation, "ts": opened.reply_id, "markdown_text": chunk}
        try:
            await calls.taken("chat.appendStream", arguments)
        except SlackRefused as refused:
            log.info("slack_stream_cut", question=opened.question.id, reason=refused.code)
            self._sent[_key(opened)] = None
            await self.stop(calls, opened)
            return
        self._sent[_key(opened)] = sent + chunk

    async def stop(self, calls: Calls, opened: Opened, *, maybe: bool = False) -> None:
        """End the stream, so that the message may be updated. Raises `SlackUnavailable`.

        `maybe`: another process opened the reply, and may have streamed it.
        """
        team = opened.question.address.get("team", "")
        key, unable = _key(opened), self._unable_until.get(team, 0.0) > self._clock()
        if key in self._stopped or (key not in self._sent and (not maybe or unable)):
            return
        try:
            await calls.must("chat.stopStream", {"channel": opened.question.conversation, "ts": opened.reply_id})
        except SlackRefused as refused:
            if refused.code in NOT_HERE:
                self._unable_until[team] = self._clock() + UNABLE_FOR
            # It has ended by itself, or is no stream, or is gone: the update will tell.
            log.info("slack_stream_not_stopped", question=opened.question.id, reason=refused.code)
        self._sent.pop(key, None)
        self._stopped[key] = None
        while len(self._stopped) > REMEMBERED:
            self._stopped.popitem(last=False)


def _key(opened: Opened) -> tuple[str, str]:
    return opened.question.conversation, opened.reply_id
