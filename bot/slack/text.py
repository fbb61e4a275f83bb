"""Slack's message syntax to plain, readable text, and back to something that cannot come to life."""

from __future__ import annotations

import re
from datetime import datetime

_REFERENCE = re.compile(r"<([^<>\n]+)>")
"""Links, mentions and commands; a literal `<` arrives as `&lt;`, so this cannot match text that a person typed."""


def escape(text: str) -> str:
    """Make `text` inert in Slack's mrkdwn: no mention, link or command survives.

    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mentions(text: str, user_id: str) -> bool:
    """True if the raw Slack text mentions the user."""
    return f"<@{user_id}>" in text or f"<@{user_id}|" in text


def readable(text: str, *, bot_user_id: str) -> str:
    """Turn raw Slack text into what the person sees, without the mentions of the bot.

    Everything else stays as it was: line breaks, code blocks, emoji, right-to-left text.
    """
    spoken_to = re.escape(bot_user_id)
    text = re.sub(rf"^\s*(?:<@{spoken_to}(?:\|[^<>]*)?>[ \t]*[,:]?[ \t]*)+", "", text)
    text = re.sub(rf"[ \t]?<@{spoken_to}(?:\|[^<>]*)?>", "", text)
    text = _REFERENCE.sub(lambda match: _reference(match.group(1)), text)
    return _unescape(text).strip()


def _unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _reference(body: str) -> str:
    """The readable form of what stood between `<` and `>`, still escaped."""
    target, _, label = body.partition("|")
    match target[:1]:
        case "@":
            return f"@{label or target[1:]}"
        case "#":
            return f"#{label or target[1:]}"
        case "!":
            return _command(target[1:], label)
    return _link(target, label)


def _command(target: str, label: str) -> str:
    """`<!here>`, `<!subteam^S1|@support>`, `<!date^…|fallback>`."""
    if label:
        return label
    name, _, rest = target.partition("^")
    return f"@{rest}" if name == "subteam" else f"@{name}"


def _link(target: str, label: str) -> str:
    bare = target.removeprefix("mailto:").removeprefix("tel:")
    if not label or label in (target, bare) or _without_scheme(target) == _without_scheme(label):
        # Slack links what people type as `example.com` or `a@b.c`: give back what they typed.
        return label or bare
    return f"{label} ({bare})"


def _without_scheme(url: str) -> str:
    return url.split("://", 1)[-1].rstrip("/")


def date(at: datetime) -> str:
    """In the reader's time zone: https://docs.slack.dev/messaging/formatting-message-text#date-formatting"""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{at:%Y-%m-%d %H:%M} UTC>"
