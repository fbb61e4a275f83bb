"""The number that changes with what readers may see."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.store import database_url, migrate, open_engine
from pipeline.knowledge.switches import Switches
from tests.pipeline.knowledge.support import knowledge_engine

ADD = (
    "INSERT INTO passages (tenant, id, document_id, source, location, title, heading_path, text, position, sync, visible,"
    " indexed_by) VALUES ('acme', '{0}', 'd', 's', 'l', 't', '[]', 'words', 0, 's', {1}, '')"
)


@pytest.fixture(params=["migrated", "created"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """A database as `promptai migrate` leaves it, and as the code describes it: both have the triggers."""
    if request.param == "created":
        async with knowledge_engine(tmp_path) as engine:
            yield engine
        return
    engine = open_engine(database_url(None, tmp_path))
    await migrate(engine)
    yield engine
    await engine.dispose()


async def write(engine: AsyncEngine, *statements: str) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


@pytest.mark.parametrize(
    "change",
    [
        ADD.format("new", 1),
        "DELETE FROM passages WHERE id = 'shown'",
        "DELETE FROM passages",
        "UPDATE passages SET visible = 0 WHERE id = 'shown'",
        "UPDATE passages SET visible = 1 WHERE id = 'hidden'",
        "UPDATE passages SET visible = (sync = 'another')",
        *(
            f"UPDATE passages SET {column} = 'x' WHERE id = 'shown'"
            for column in ("location", "title", "language", '"release"', "fold", "tenant", "document_id", "text")
        ),
    ],
)
async def test_whatever_changes_what_is_shown_changes_the_number(engine: AsyncEngine, change: str) -> None:
    switches = Switches(engine.sync_engine)
    await write(engine, ADD.format("shown", 1), ADD.format("hidden", 0))
    before = switches.number()
    assert before is not None
    await write(engine, change)
    assert switches.number() not in (before, None)


async def test_what_readers_do_not_see_leaves_the_number(engine: AsyncEngine) -> None:
    switches = Switches(engine.sync_engine)
    await write(engine, ADD.format("shown", 1), ADD.format("hidden", 0))
    before = switches.number()
    await write(
        engine,
        ADD.format("staged", 0),
        "UPDATE passages SET sync = 'another', indexed_by = 'e'",
        "UPDATE passages SET title = 'x' WHERE NOT visible",
        "DELETE FROM passages WHERE NOT visible",
    )
    assert switches.number() == before


async def test_what_is_not_committed_or_rolled_back_leaves_the_number(engine: AsyncEngine) -> None:
    switches = Switches(engine.sync_engine)
    before = switches.number()
    async with engine.connect() as connection:
        await connection.execute(text(ADD.format("new", 1)))
        assert switches.number() == before
        await connection.rollback()
    assert switches.number() == before


async def test_where_nobody_can_say_there_is_no_number(tmp_path: Path) -> None:
    """Not yet migrated, without triggers, in memory, on PostgreSQL, locked: then SQL is asked what is visible."""
    elsewhere = ("postgresql+asyncpg://nobody@127.0.0.1:1/none", "sqlite+aiosqlite://")
    assert [Switches(create_async_engine(url).sync_engine).number() for url in elsewhere] == [None, None]
    engine = open_engine(database_url(None, tmp_path))
    switches = Switches(engine.sync_engine)
    assert switches.number() is None
    assert not (tmp_path / "promptai.sqlite").exists()
    await migrate(engine)
    assert switches.number() is not None
    await engine.dispose()
    await write(engine, "DROP TRIGGER passages_update_switches")
    assert Switches(engine.sync_engine).number() is None
    await engine.dispose()


async def test_a_locked_file_is_not_waited_for(tmp_path: Path) -> None:
    async with knowledge_engine(tmp_path) as engine:
        switches = Switches(engine.sync_engine)
        assert switches.number() is not None
        other = sqlite3.connect(tmp_path / "knowledge.sqlite")
        other.execute("BEGIN EXCLUSIVE")
        assert switches.number() is None
        other.close()
        assert switches.number() is not None
