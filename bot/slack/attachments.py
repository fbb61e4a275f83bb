"""Files attached to a Slack message: downloaded with the bot's token, from Slack only, and read as text."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, Protocol

import structlog

from bot.attachments import Attached
from bot.errors import BotError
from bot.messages import Question
from bot.slack.api import SlackApi, SlackRefused, SlackUnavailable
from pipeline.errors import PipelineError
from pipeline.knowledge.convert import Converted

log = structlog.get_logger(__name__)

MAX_FILES = 3
MAX_BYTES = 5_000_000
MAX_CHARS = 3_000
"""Of all files together: what a question has room for beside the passages."""

PLAIN = frozenset({".txt", ".md", ".markdown", ".log", ".csv", ".json", ".yaml", ".yml", ".ini", ".conf"})
CONVERTED = frozenset({".pdf"})


class Convert(Protocol):
    """Bytes to text, in a process of its own. `pipeline.knowledge.workers.Workers.convert` is the real one. Blocking."""

    def __call__(self, data: bytes, name: str) -> Converted: ...


def described(files: object) -> str:
    """What is kept of a message's files until they are read: JSON."""
    kept = ("id", "name", "size", "url_private_download", "url_private", "mode", "mimetype", "file_access")
    found = [f for f in files if isinstance(f, Mapping)] if isinstance(files, list) else []
    return json.dumps([{key: f[key] for key in kept if isinstance(f.get(key), str | int)} for f in found[:20]])


class SlackAttachments:
    """Implements `bot.attachments.Attachments`."""

    def __init__(self, api_for: Callable[[Mapping[str, str]], Awaitable[SlackApi]], convert: Convert) -> None:
        self._api_for = api_for
        self._convert = convert

    async def read(self, question: Question) -> Attached:
        """The texts of at most `MAX_FILES` files, cut to `MAX_CHARS` together."""
        files = _files(question.address.get("files", ""))
        text, lines, room = "", [], MAX_CHARS
        for number, file in enumerate(files):
            name = _name(file)
            if number >= MAX_FILES:
                lines.append(f"I left out {name}: I read {MAX_FILES} files at most.")
                continue
            try:
                found = (await self._text(file, question)).strip()
            except _Unreadable as reason:
                lines.append(f"I cannot read {name}: {reason}.")
                continue
            shown, room = found[:room], max(room - len(found), 0)
            text += f"\n\nAttached file {name}:\n{shown}"
            cut = len(shown) < len(found)
            lines.append(f"I read the first {len(shown):,} characters of {name}." if cut else f"I read {name}.")
        return Attached(text, " ".join(lines))

    async def _text(self, file: Mapping[str, Any], question: Question) -> str:
        name = _name(file)
        ending = PurePosixPath(name).suffix.lower()
        if str(file.get("mimetype", "")).startswith(("image/", "video/", "audio/")):
            raise _Unreadable("pictures, sound and video say nothing to me; please put it into words")
        if file.get("mode") == "external":
            raise _Unreadable("it is not kept in Slack")
        if ending not in PLAIN | CONVERTED:
            raise _Unreadable("I read text, Markdown and PDF")
        if int(file.get("size") or 0) > MAX_BYTES:
            raise _Unreadable(f"it is larger than {MAX_BYTES // 1_000_000} MB")
        try:
            api = await self._api_for(question.address)
            if file.get("file_access") == "check_file_info":  # from the other side of a shared channel
                file = (await api.call("files.info", {"file": file.get("id")}, verb="GET")).get("file") or {}
            data = await api.download(str(file.get("url_private_download") or file.get("url_private") or ""), MAX_BYTES)
            # Records are read as they are: nobody wants a log turned into Markdown.
            converted = await asyncio.to_thread(self._convert, data, name if ending in CONVERTED else "file.txt")
        except (SlackRefused, SlackUnavailable, BotError, PipelineError) as error:
            log.warning("slack_file_unreadable", question=question.id, kind=ending, error=str(error))
            raise _Unreadable("it could not be opened") from error
        return converted.text


class _Unreadable(Exception):
    """Why, for the person."""


def _name(file: Mapping[str, Any]) -> str:
    """On one line, without what would format it."""
    name = "".join(c for c in str(file.get("name") or "a file") if c.isprintable() and c not in "`*_[]<>~")
    return name[-80:]


def _files(stored: str) -> list[Mapping[str, Any]]:
    try:
        found = json.loads(stored) if stored else []
    except ValueError:
        return []
    return found if isinstance(found, list) else [{}]
