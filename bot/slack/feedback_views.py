"""What a person sees after rating an answer: a quiet line, a dialog, a message to people. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.messages import Reason, Vote, Way
from bot.slack.text import escape
from bot.store import StoredQuestion

Json = dict[str, Any]

WHY, HUMAN, UNDO = "promptai_why", "promptai_human", "promptai_undo"
"""Action ids of the buttons in the quiet line."""

REASON_VIEW = "promptai_reason"
"""The dialog's callback id."""

_REASONS = {
    Reason.WRONG: "It is wrong",
    Reason.INCOMPLETE: "It is incomplete",
    Reason.OUTDATED: "It is outdated",
    Reason.IRRELEVANT: "It answers something else",
    Reason.OTHER: "Something else",
}
MAX_COMMENT_CHARS = 2_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Ticket:
    """Which gesture a button or dialog is about."""

    channel: str
    reply_id: str
    gesture: str
    way: Way
    at: datetime
    """When the gesture was made, by Slack's clock."""

    def __str__(self) -> str:
        since = self.at - _EPOCH
        seconds = since // timedelta(seconds=1)
        return f"{self.channel} {self.reply_id} {self.gesture} {self.way.value} {seconds}.{since.microseconds:06d}"

    def explained(self, clicked_at: float) -> Ticket:
        """The ticket of a dialog that was opened at this Unix time.

        A microsecond later for each second in between: of two explanations the later one counts, and whatever the person
        does next is later still.
        """
        seconds = int(clicked_at - self.at.timestamp())
        return replace(self, at=self.at + timedelta(microseconds=min(max(seconds, 0), 900_000)))

    @staticmethod
    def parse(text: str) -> Ticket | None:
        """None for what is no ticket of ours."""
        try:
            channel, reply_id, gesture, way, at = text.split(" ")
            seconds, _, micros = at.partition(".")
            moment = _EPOCH + timedelta(seconds=int(seconds), microseconds=int(micros or 0))
            return Ticket(channel, reply_id, gesture, Way(way), moment)
        except (ValueError, OverflowError):
            return None


def thanks(vote: Vote, ticket: Ticket, *, humans: bool) -> tuple[str, list[Json]]:
    """The quiet line: (text, blocks). `humans`: there are people to ask."""
    down = vote is Vote.DOWN
    text = "Thanks, I have noted that this did not help." if down else "Thanks, I have noted that this helped."
    buttons = [_button(UNDO, "Take it back", ticket)]
    if down and humans:
        buttons.insert(0, _button(HUMAN, "Ask a human", ticket))
    if down:
        buttons.insert(0, _button(WHY, "Say why", ticket))
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return text, [section, {"type": "actions", "elements": buttons}]


def reason_view(ticket: Ticket) -> Json:
    """The dialog. https://docs.slack.dev/surfaces/modals"""
    options = [{"text": _plain(words), "value": reason.value} for reason, words in _REASONS.items()]
    return {
        "type": "modal",
        "callback_id": REASON_VIEW,
        "private_metadata": str(ticket),
        "title": _plain("What was not right?"),
        "submit": _plain("Send"),
        "close": _plain("Cancel"),
        "blocks": [
            {
                "type": "input",
                "block_id": "reason",
                "label": _plain("The answer"),
                "element": {"type": "radio_buttons", "action_id": "reason", "options": options},
            },
            {
                "type": "input",
                "block_id": "comment",
                "optional": True,
                "label": _plain("What would have been right?"),
                "hint": _plain(
                    "Best as the answer should read. Experts' words may train me where your company agreed."
                ),
                "element": {
                    "type": "plain_text_input",
                    "action_id": "comment",
                    "multiline": True,
                    "max_length": MAX_COMMENT_CHARS,
                },
            },
        ],
    }


def summary(stored: StoredQuestion, *, clicked_by: str, link: str, group: str) -> str:
    """The message to people: only `group` is called, and nothing that was asked or answered comes to life."""
    answer = stored.answer.text if stored.answer else "(none)"
    call = f"<!subteam^{group}> " if group else ""
    return (
        f"{call}<@{clicked_by}> needs a person: <{escape(link)}>\n"
        f"*Asked by* <@{stored.question.person.id}>\n{_quoted(stored.question.text)}\n*I answered*\n{_quoted(answer)}"
    )


def _quoted(text: str, limit: int = 700) -> str:
    shown = text.strip() if len(text) <= limit else text[:limit].rstrip() + "…"
    return "\n".join(f"> {escape(line)}" for line in shown.splitlines()) or "> (nothing)"


def _button(action_id: str, words: str, ticket: Ticket) -> Json:
    return {"type": "button", "action_id": action_id, "text": _plain(words), "value": str(ticket)}


def _plain(words: str) -> Json:
    return {"type": "plain_text", "text": words}
