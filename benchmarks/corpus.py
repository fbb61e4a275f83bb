"""Documents to measure with: a folder of Markdown pages, or the pages of a `corpus.jsonl`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.database import database_url, migrate, open_engine
from pipeline.knowledge.tables import PassageRow
from pipeline.knowledge.visible import PASSAGE_COLUMNS, passage_from
from pipeline.types import Passage

EXAMPLE = Path(__file__).parents[1] / "examples" / "streaming-qoe" / "docs"


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The records of a JSONL file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def write_pages(source: Path, into: Path, limit: int | None = None) -> int:
    """Write the pages of `source` into `into` as Markdown files; returns how many.

    `source` holds `corpus.jsonl` (page, title, section, text), or Markdown files. A page's records are its sections.
    """
    count = 0
    for name, text in _pages(source):
        if limit is not None and count >= limit:
            break
        place = into / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        count += 1
    return count


def _pages(source: Path) -> Iterator[tuple[str, str]]:
    corpus = source / "corpus.jsonl"
    if not corpus.is_file():
        for file in sorted(source.rglob("*.md")):
            yield file.relative_to(source).as_posix(), file.read_text(encoding="utf-8")
        return
    pages: dict[str, list[dict[str, Any]]] = {}
    for record in read_lines(corpus):
        pages.setdefault(record["page"], []).append(record)
    for number, records in enumerate(pages.values()):
        sections = "\n\n".join(f"## {record['section']}\n\n{record['text']}" for record in records)
        yield f"{number % 40:02d}/page-{number:05d}.md", f"# {records[0]['title']}\n\n{sections}\n"


async def open_database(folder: Path) -> AsyncEngine:
    """A new SQLite database with all tables, as the product opens it."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = open_engine(database_url(None, folder))
    await migrate(engine)
    return engine


async def stored_passages(engine: AsyncEngine) -> list[Passage]:
    """All passages in the catalog."""
    async with engine.connect() as connection:
        return [passage_from(row) for row in await connection.execute(select(*PASSAGE_COLUMNS).order_by(PassageRow.id))]
