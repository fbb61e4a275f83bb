"""What the conversation says -> Bot Framework activities. Pure functions."""

from __future__ import annotations

import copy
import re
from typing import Any
from urllib.parse import urlsplit

from botbuilder.schema import Activity, ActivityTypes

from bot.delivery import Progress
from bot.messages import Apology, Reply
from bot.teams.entities import MessageEntity, StreamInfo
from bot.teams.markdown import cost, split, teams_markdown
from bot.teams.settled import settled_markdown
from pipeline.types import Answer, Citation, DraftReady, PassagesFound, Stage

MAX_TEXT_BYTES = 40_000
"""Text in one message, in UTF-16. Teams' limit is 100 KB a message; citations and envelope need some of it."""
STREAMED_BYTES = 30_000
"""A stream shows no more than this: beyond it, the first message may end before what has been shown."""
MAX_CITATIONS = 20
MAX_NAME_CHARS = 80
MAX_ABSTRACT_CHARS = 160
MAX_URL_CHARS = 1_000

OPENING = "Looking into it…"
STAGES = {
    Stage.DRAFTING: "Thinking about your question…",
    Stage.RETRIEVING: "Searching the documentation…",
    Stage.ANSWERING: "Writing the answer…",
}


def typing() -> Activity:
    return Activity(type=ActivityTypes.typing)


def stream_status(line: str, number: int, stream_id: str | None) -> Activity:
    """A line that says what is going on; the first one, without an id, begins the stream."""
    info = StreamInfo("informative", stream_id, number)
    return Activity(type=ActivityTypes.typing, text=line, entities=[info])


def stream_text(text: str, number: int, stream_id: str) -> Activity:
    """The whole text so far."""
    info = StreamInfo("streaming", stream_id, number)
    return Activity(type=ActivityTypes.typing, text=text, text_format="markdown", entities=[info])


def stream_end(message: Activity, stream_id: str) -> Activity:
    """The message that ends a stream: a copy, since the same message may have to be sent in another way."""
    end = copy.copy(message)
    end.entities = [*(message.entities or []), StreamInfo("final", stream_id, None)]
    return end


def streamed_text(text: str) -> str:
    """What a stream may show of an unfinished answer; what would not fit into one message waits for the end."""
    shown = settled_markdown(text)
    return shown if cost(shown) <= STREAMED_BYTES else ""


def opening() -> Activity:
    """The message that becomes the answer where nothing is streamed."""
    return status(OPENING)


def status_line(progress: Progress) -> str:
    """What is going on, in a few words."""
    match progress:
        case DraftReady():
            return STAGES[Stage.RETRIEVING]
        case PassagesFound(hits=hits):
            return f"Reading {len(hits)} passage{'' if len(hits) == 1 else 's'}…" if hits else "Found no passage…"
        case _:
            return STAGES[progress.stage]


def status(line: str) -> Activity:
    """A message that says what is going on."""
    return _rateable(plain_message(f"_{line}_"))


def unfinished(text: str) -> Activity:
    """The answer so far; what does not fit in one message has to wait for the end."""
    return _rateable(plain_message(split(teams_markdown(text), MAX_TEXT_BYTES)[0] + "\n\n_…_"))


def answer(reply: Reply) -> list[Activity]:
    """The whole answer: one message, or several where it is too long. Each can be rated, all count as one."""
    text = teams_markdown(reply.answer.text)
    if reply.notice:  # below: a streamed text cannot get another beginning
        text += f"\n\n_{teams_markdown(reply.notice)}_"
    shown = reply.answer.citations[:MAX_CITATIONS]
    rest = reply.answer.citations[MAX_CITATIONS:]
    if rest:
        text += "\n\n" + "\n\n".join(_source_line(citation) for citation in rest)
    messages = [plain_message(part) for part in split(text, MAX_TEXT_BYTES)]
    for message in messages:
        cited = [c for c in shown if f"[{c.number}]" in message.text]
        message.entities = [MessageEntity([_claim(citation, reply.answer) for citation in cited])]
        _rateable(message)
    return messages


def apology(sorry: Apology) -> Activity:
    return plain_message(f"{teams_markdown(sorry.text)}\n\nError id: `{sorry.error_id}`")


def plain_message(text: str) -> Activity:
    """A message in Teams' Markdown, with nothing else in it."""
    return Activity(type=ActivityTypes.message, text=text, text_format="markdown")


def _rateable(message: Activity) -> Activity:
    """With feedback buttons: from the beginning, since an update alone need not bring them (the Playground's does not).

    Until there is an answer, a click rates nothing.
    """
    message.channel_data = {"feedbackLoop": {"type": "default"}}
    return message


def _claim(citation: Citation, made: Answer) -> dict[str, Any]:
    """One entry of `citation`, as Teams documents it. Without a web address the location leads the abstract."""
    passage = next((hit.passage for hit in made.hits if hit.passage.id == citation.passage_id), None)
    abstract = _plain(passage.text if passage else "")
    appearance: dict[str, Any] = {
        "@type": "DigitalDocument",
        "name": _cut(_plain(citation.title) or citation.location or "Source", MAX_NAME_CHARS),
    }
    if _is_web_address(citation.location):
        appearance["url"] = citation.location
    else:
        abstract = f"{citation.location}: {abstract}" if abstract else citation.location
    # Teams drops a citation without an abstract.
    appearance["abstract"] = _cut(_plain(abstract) or appearance["name"], MAX_ABSTRACT_CHARS)
    return {"@type": "Claim", "position": citation.number, "appearance": appearance}


def _source_line(citation: Citation) -> str:
    return teams_markdown(f"[{citation.number}] {_plain(citation.title)} ({_plain(citation.location)})")


def _is_web_address(location: str) -> bool:
    try:
        parts = urlsplit(location)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and len(location) <= MAX_URL_CHARS


def _plain(text: str) -> str:
    """One line of plain text without control characters or angle brackets."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f<>]", " ", text).split())


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
