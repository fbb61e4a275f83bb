"""JSON lines: one section of a page a line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import SourceNotFound
from pipeline.knowledge.sources.base import Choice, SourceFile, clean_name
from pipeline.knowledge.sources.entry import Entry, Kit


class JsonlSource:
    """Records with `page` (or `location`) and `text`, and optionally `title`, `section`, `anchor`.

    The records of one page are one document, in the file's order; passages are linked as `page#section`.
    """

    def __init__(self, path: Path, *, name: str, choice: Choice | None = None) -> None:
        self.name = clean_name(name)
        self.kind = "jsonl"
        self._path = path
        self._choice = choice or Choice()

    async def files(self) -> AsyncIterator[SourceFile]:
        for page, lines in (await asyncio.to_thread(self._pages)).items():
            yield SourceFile(page, f"{page}.records", partial("\n".join(lines).encode))

    def _pages(self) -> dict[str, list[str]]:
        pages: dict[str, list[str]] = {}
        try:
            with self._path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        page = self._page(number, line)
                        if self._choice.wants(page):
                            pages.setdefault(page, []).append(line.strip())
        except (OSError, UnicodeDecodeError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
            raise SourceNotFound(f"{self._path} cannot be read ({reason}). Nothing was changed.") from exc
        return pages

    def _page(self, number: int, line: str) -> str:
        try:
            record: Any = json.loads(line)
            return str(record["page"] if "page" in record else record["location"])
        except (ValueError, KeyError, TypeError) as exc:
            raise SourceNotFound(
                f"{self._path}, line {number}: no JSON object with `page` and `text`. Nothing was changed."
            ) from exc


class JsonlEntry(Entry):
    """`kind = "jsonl"`."""

    def open(self, kit: Kit) -> JsonlSource:
        return JsonlSource(self.path(kit), name=self.name, choice=self.choice)
