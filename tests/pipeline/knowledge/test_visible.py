"""What is remembered of passages, and what never is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pipeline.knowledge.tables import PassageRow
from pipeline.knowledge.visible import VisiblePassages
from tests.pipeline.knowledge.support import World, knowledge_engine


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with knowledge_engine(tmp_path) as engine:
        world = World(engine, tmp_path / "docs")
        for name in ("one", "two", "three"):
            world.write(f"{name}.md", f"# {name}\n\nThe page {name} says something about buffers.")
        await world.sync()
        yield world


@asynccontextmanager
async def statements(engine: AsyncEngine) -> AsyncIterator[list[str]]:
    """The SQL that SQLite is given meanwhile, whoever gives it."""
    seen: list[str] = []
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
    assert isinstance(driver, aiosqlite.Connection)  # the only one that the engine has opened: it is used again
    await driver.set_trace_callback(seen.append)
    yield seen
    await driver.set_trace_callback(None)
    seen[:] = [statement for statement in seen if statement.startswith("SELECT")]


async def ids(world: World) -> list[str]:
    return [row.id for row in await world.rows()]


async def test_passages_that_are_known_cost_one_statement_without_their_text(world: World) -> None:
    passages, wanted = VisiblePassages(world.engine), await ids(world)
    async with statements(world.engine) as first:
        found = await passages.visible(["shared"], wanted)
    async with statements(world.engine) as second:
        assert await passages.visible(["shared"], wanted) == found
    assert (len(first), len(second)) == (2, 1)
    assert "passages.text" not in second[0]


async def test_however_many_are_asked_about_one_statement_says_what_is_visible(world: World) -> None:
    passages, wanted = VisiblePassages(world.engine), await ids(world)
    many = [*wanted[:1], *(f"gone{number}" for number in range(13_000)), *wanted[1:]]
    await passages.visible(["shared"], many)
    async with statements(world.engine) as seen:
        assert set(await passages.visible(["shared"], many)) == set(wanted)
    assert len(seen) == 1  # of two, one could see what was before a switch and the other what came after


async def test_what_another_process_hides_is_gone_at_once(world: World) -> None:
    passages, wanted = VisiblePassages(world.engine), await ids(world)
    assert len(await passages.visible(["shared"], wanted)) == 3
    other = create_async_engine(world.engine.url)
    async with other.begin() as connection:
        await connection.execute(update(PassageRow).where(PassageRow.id == wanted[0]).values(visible=False))
    await other.dispose()
    assert set(await passages.visible(["shared"], wanted)) == set(wanted[1:])


async def test_a_tenants_remembered_passage_is_not_shown_to_another(world: World) -> None:
    await world.sync("acme", name="own")
    own = [row.id for row in await world.rows("acme")]
    passages = VisiblePassages(world.engine)
    assert set(await passages.visible(["acme", "shared"], own)) == set(own)
    assert await passages.visible(["other", "shared"], own) == {}
    assert await passages.visible([], own) == {}


async def test_a_remembered_passage_has_its_present_address_and_title(world: World) -> None:
    passages, wanted = VisiblePassages(world.engine), await ids(world)
    before = (await passages.visible(["shared"], wanted))[wanted[0]]
    async with world.engine.begin() as connection:
        moved = {"location": "elsewhere.md", "title": "Another title", "fold": "f"}
        await connection.execute(update(PassageRow).where(PassageRow.id == wanted[0]).values(**moved))
    after = (await passages.visible(["shared"], wanted))[wanted[0]]
    assert (after.location, after.title, after.fold, after.text) == ("elsewhere.md", "Another title", "f", before.text)


async def test_only_so_many_are_remembered(world: World) -> None:
    passages, wanted = VisiblePassages(world.engine, remembered=2), await ids(world)
    assert len(await passages.visible(["shared"], wanted)) == 3
    async with statements(world.engine) as seen:
        assert len(await passages.visible(["shared"], wanted[1:])) == 2
        assert len(await passages.visible(["shared"], wanted)) == 3
    assert len(seen) == 3
