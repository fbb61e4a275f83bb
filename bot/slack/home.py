"""The app's home tab: what the bot knows, what the person asked, and for admins how it is set. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.messages import Vote
from bot.slack.channel_views import Channels, channel_blocks
from bot.slack.text import date, escape
from bot.store import RecentQuestion
from pipeline.knowledge.catalog import SourceStatus

Json = dict[str, Any]

MAX_SOURCES = 25
MAX_QUESTIONS = 10
"""Slack takes 100 blocks; each source and question is one."""

MAX_TEXT = 200
"""Characters of a question or a reason."""

_VOTES = {Vote.UP: " · you found the answer helpful", Vote.DOWN: " · you did not find the answer helpful"}
_STATES = {"accepted": " · being answered", "apologised": " · no answer, sorry", "undeliverable": " · not delivered"}


@dataclass(frozen=True, slots=True)
class Home:
    """What one person's home tab shows."""

    me: str
    """The bot's user id."""
    sources: Sequence[SourceStatus]
    asked: Sequence[RecentQuestion]
    """Newest first."""
    settings: Sequence[tuple[str, str]] | None = None
    """For admins: name and value of what is set; None for everybody else."""
    channels: Channels = field(default_factory=Channels)
    """For admins: what goes for which channel."""


def home_view(home: Home) -> Json:
    """The view for `views.publish`. https://docs.slack.dev/surfaces/app-home"""
    blocks = [
        _header("What I know"),
        *_sources(home.sources, admin=home.settings is not None),
        _header("Your last questions"),
        *_asked(home),
    ]
    if home.settings is not None:
        blocks += [
            _header("Settings"),
            *(_section(f"*{_plain(name)}*: {_plain(value)}") for name, value in home.settings),
        ]
        blocks += channel_blocks(home.channels)
        blocks.append(
            _context("You see these because you are one of SLACK_ADMINS. What has no button is set where I run.")
        )
    return {"type": "home", "blocks": blocks}


def nobodys_view(text: str) -> Json:
    """For a workspace that belongs to no tenant."""
    return {"type": "home", "blocks": [_section(escape(text))]}


def _sources(sources: Sequence[SourceStatus], *, admin: bool) -> list[Json]:
    if not sources:
        return [_section("Nothing yet: no documents have been synced.")]
    shown = [_section(_source(source, admin)) for source in sources[:MAX_SOURCES]]
    if len(sources) > MAX_SOURCES:
        shown.append(_context(f"and {len(sources) - MAX_SOURCES} more"))
    return shown


def _source(source: SourceStatus, admin: bool) -> str:
    documents = f"{source.documents:,} document{'' if source.documents == 1 else 's'}"
    synced = f"synced {date(source.last_synced)}" if source.last_synced else "never synced yet"
    line = f"*{_plain(source.name)}* · {documents} · {synced}"
    if source.state == "failed":
        # Why is for those who can mend it: it may name servers and files.
        line += "\nThe last sync failed, so this may be out of date."
        line += f" {_plain(source.last_error)}" if admin and source.last_error else ""
    return line


def _asked(home: Home) -> list[Json]:
    if not home.asked:
        return [_section(f"None yet. Write to me in *Messages*, or mention <@{home.me}> in a channel.")]
    return [_section(_question(question)) for question in home.asked[:MAX_QUESTIONS]]


def _question(question: RecentQuestion) -> str:
    where = "" if question.conversation.startswith("D") else f" in <#{question.conversation}>"
    after = _VOTES[question.vote] if question.vote else _STATES.get(question.state, "")
    return f"{_plain(question.text) or '(no words)'}\n_{date(question.asked_at)}_{where}{after}"


def _plain(text: str) -> str:
    """One line in which nothing comes to life."""
    line = " ".join(text.split())
    line = line[: MAX_TEXT - 1] + "…" if len(line) > MAX_TEXT else line
    # A zero-width space keeps characters from styling what stands between them.
    return escape(line).translate({ord(mark): f"{mark}\u200b" for mark in "*_~`"})


def _header(text: str) -> Json:
    return {"type": "header", "text": {"type": "plain_text", "text": text}}


def _section(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _context(text: str) -> Json:
    return {"type": "context", "elements": [{"type": "plain_text", "text": text}]}
