"""Reply -> Slack messages. Pure functions.

A message is rich text (in which nothing of the model's can come to life), then sources, a disclaimer and two thumbs. Each
message has the same content as plain mrkdwn for notifications, and as a fallback where Slack refuses the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.messages import Apology, Reply, Vote
from bot.slack.incoming import button_value
from bot.slack.markdown import parse
from bot.slack.notation import Json, mrkdwn, rich_text
from bot.slack.spans import Block, Kind, Span, clean, safe_url
from bot.slack.splitting import split
from bot.slack.text import escape
from pipeline.types import Citation, Stage

ACTION_ID = "promptai_feedback"
"""The thumbs' action id; the route for clicks listens to it."""

PART_CHARS = 3_500
"""mrkdwn characters of one message: `chat.update` refuses texts beyond 4,000 (`msg_too_long`), and blocks of this size
stay far below the 11,000 from which a message is refused (`msg_blocks_too_long`)."""

MAX_TITLE_CHARS = 150
DISCLAIMER = "AI-generated, may be wrong – check the sources."
DISCLAIMER_WITHOUT_SOURCES = "AI-generated, may be wrong."

_STAGES = {
    Stage.DRAFTING: "Thinking about it…",
    Stage.RETRIEVING: "Searching the documentation…",
    Stage.ANSWERING: "Writing the answer…",
}


@dataclass(frozen=True, slots=True)
class Look:
    """One way to show a message."""

    text: str
    """mrkdwn, at most 4,000 characters: the notification, and the message itself where there are no blocks."""
    blocks: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """One message to post or update."""

    looks: tuple[Look, ...]
    """The best first; the next one is for when Slack refuses the blocks. The last has none."""


def stage_text(stage: Stage) -> str:
    """What is being done, for the status line below a thread."""
    return _STAGES[stage]


def placeholder(stage: Stage = Stage.DRAFTING) -> SlackMessage:
    """What stands in the thread until there is text."""
    return SlackMessage((Look(f"_{_STAGES[stage]}_"),))


def live_text(text: str) -> str:
    """The answer so far, as mrkdwn that fits one message; the head is left out when it grows too long."""
    tail = clean(text)
    shortened = len(tail) > PART_CHARS
    shown = mrkdwn(parse(tail[-PART_CHARS:]))
    while len(shown) > PART_CHARS:
        # Escaping made it longer: show less.
        tail = tail[-min(len(tail), PART_CHARS) * 2 // 3 :]
        shortened, shown = True, mrkdwn(parse(tail))
    return f"… {shown}" if shortened else shown or f"_{_STAGES[Stage.ANSWERING]}_"


def render_reply(reply: Reply, reply_id: str, size: int = PART_CHARS) -> list[SlackMessage]:
    """The finished answer as one or more messages of at most `size` characters; the last carries disclaimer and thumbs."""
    answer = reply.answer
    blocks = _notice(reply.notice) + _body(answer.text) + _sources(answer.citations)
    parts = split(blocks, size)
    # A help line of ours is no answer: nothing of it is generated, and nobody needs to rate it.
    generated = not answer.abstained or bool(answer.models or answer.hits or answer.draft)
    messages = [_message(part) for part in parts[:-1]]
    if not generated:
        return [*messages, _message(parts[-1])]
    disclaimer = DISCLAIMER if answer.citations else DISCLAIMER_WITHOUT_SOURCES
    return [*messages, _message(parts[-1], disclaimer=disclaimer, feedback=_thumbs(reply_id))]


def render_apology(apology: Apology) -> SlackMessage:
    """What went wrong, in one sentence, and the id under which the operator finds the cause."""
    error_id = clean(apology.error_id).replace("`", "'")[:100]
    text = f"{escape(clean(apology.text)[:3_000])[:PART_CHARS]}\nError id: `{escape(error_id)}`"
    return SlackMessage((Look(text),))


def _message(part: Sequence[Block], *, disclaimer: str = "", feedback: Json | None = None) -> SlackMessage:
    text = mrkdwn(part) + (f"\n\n_{disclaimer}_" if disclaimer else "")
    blocks: list[Json] = [rich_text(part)]
    if disclaimer:
        blocks.append({"type": "context", "elements": [{"type": "plain_text", "text": disclaimer}]})
    looks = [Look(text, (*blocks, feedback))] if feedback else []
    return SlackMessage((*looks, Look(text, tuple(blocks)), Look(text)))


def _notice(notice: str | None) -> list[Block]:
    return [Block(Kind.TEXT, (Span(clean(notice), italic=True),))] if notice else []


def _body(text: str) -> list[Block]:
    return parse(text) or [Block(Kind.TEXT, (Span("(The answer is empty.)"),))]


def _sources(citations: Sequence[Citation]) -> list[Block]:
    if not citations:
        return []
    return [Block(Kind.HEADING, (Span("Sources"),)), *(Block(Kind.ITEM, _source(c)) for c in citations)]


def _source(citation: Citation) -> tuple[Span, ...]:
    """`[1] Title – location`, where only an http(s) location is a link, and shows itself."""
    location = clean(citation.location)
    title = clean(citation.title).replace("\n", " ")[:MAX_TITLE_CHARS].strip() or "Untitled"
    url = safe_url(location)
    return (Span(f"[{citation.number}] {title} – "), Span(url or location[:MAX_TITLE_CHARS] or "?", url=url))


def _thumbs(reply_id: str) -> Json:
    """https://docs.slack.dev/reference/block-kit/block-elements/feedback-buttons-element"""

    def button(label: str, vote: Vote) -> Json:
        return {
            "text": {"type": "plain_text", "text": label},
            "accessibility_label": f"Mark this answer as {label.lower()}",
            "value": button_value(vote, reply_id),
        }

    element = {
        "type": "feedback_buttons",
        "action_id": ACTION_ID,
        "positive_button": button("Helpful", Vote.UP),
        "negative_button": button("Not helpful", Vote.DOWN),
    }
    return {"type": "context_actions", "elements": [element]}
