"""What the conversation says -> Bot Framework activities. Pure functions."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from botbuilder.schema import Activity, ActivityTypes, Entity

from bot.delivery import Progress
from bot.messages import Apology, Reply
from bot.teams.markdown import split, teams_markdown
from pipeline.types import Answer, Citation, DraftReady, PassagesFound, Stage

MAX_TEXT_BYTES = 40_000
"""Text in one message, in UTF-16. Teams' limit is 100 KB a message; citations and envelope need some of it."""
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
WELCOME = (
    "Hello! I answer questions from the documentation, and I show where each answer comes from.\n\n"
    "Ask me here in your own words, for example: *How do I change a setting?* "
    "In channels and group chats mention me first. A thumbs up or down on an answer tells us how good it was."
)


class MessageEntity(Entity):  # type: ignore[misc]
    """The schema.org message that labels a text as generated and holds its citations.

    A plain `Entity` is sent with its `type` only: msrest drops what is not in the attribute map.
    """

    _attribute_map = {  # noqa: RUF012 - msrest reads it from the class
        "type": {"key": "type", "type": "str"},
        "schema_type": {"key": "@type", "type": "str"},
        "schema_context": {"key": "@context", "type": "str"},
        "additional_type": {"key": "additionalType", "type": "[str]"},
        "citation": {"key": "citation", "type": "[object]"},
    }

    def __init__(self, citations: list[dict[str, Any]]) -> None:
        super().__init__(type="https://schema.org/Message")
        self.schema_type = "Message"
        self.schema_context = "https://schema.org"
        self.additional_type = ["AIGeneratedContent"]
        self.citation = citations or None


def typing() -> Activity:
    return Activity(type=ActivityTypes.typing)


def opening() -> Activity:
    """The message that becomes the answer."""
    return _rateable(_message(f"_{OPENING}_"))


def status(progress: Progress) -> Activity:
    """One line that says what is going on."""
    match progress:
        case DraftReady():
            line = STAGES[Stage.RETRIEVING]
        case PassagesFound(hits=hits):
            line = f"Reading {len(hits)} passage{'' if len(hits) == 1 else 's'}…" if hits else "Found no passage…"
        case _:
            line = STAGES[progress.stage]
    return _rateable(_message(f"_{line}_"))


def unfinished(text: str) -> Activity:
    """The answer so far; what does not fit in one message has to wait for the end."""
    return _rateable(_message(split(teams_markdown(text), MAX_TEXT_BYTES)[0] + "\n\n_…_"))


def answer(reply: Reply) -> list[Activity]:
    """The whole answer: one message, or several where it is too long. The first one is what people rate."""
    text = teams_markdown(reply.answer.text)
    if reply.notice:
        text = f"_{teams_markdown(reply.notice)}_\n\n{text}"
    shown = reply.answer.citations[:MAX_CITATIONS]
    rest = reply.answer.citations[MAX_CITATIONS:]
    if rest:
        text += "\n\n" + "\n\n".join(_source_line(citation) for citation in rest)
    messages = [_message(part) for part in split(text, MAX_TEXT_BYTES)]
    for message in messages:
        cited = [c for c in shown if f"[{c.number}]" in message.text]
        message.entities = [MessageEntity([_claim(citation, reply.answer) for citation in cited])]
    _rateable(messages[0])
    return messages


def apology(sorry: Apology) -> Activity:
    return _message(f"{teams_markdown(sorry.text)}\n\nError id: `{sorry.error_id}`")


def welcome() -> Activity:
    return _message(WELCOME)


def _message(text: str) -> Activity:
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
