"""What is remembered of passages, and what never is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import text, update
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


async def change(engine: AsyncEngine, passage_id: str, **values: Any) -> None:
    async with engine.begin() as connection:
        await connection.execute(update(PassageRow).where(PassageRow.id == passage_id).values(**values))


async def hide(engine: AsyncEngine, passage_id: str) -> None:
    await change(engine, passage_id, visible=False)


async def ids(world: World) -> list[str]:
    return [row.id for row in await world.rows()]


async def test_passages_that_are_known_cost_no_statement_until_something_is_switched(world: World) -> None:
    passages, wanted = VisiblePassages(world.engine), await ids(world)
    async with statements(world.engine) as first:
        found = await passages.visible(["shared"], [*wanted, "gone"])
    async with statements(world.engine) as second:
        assert await passages.visible(["shared"], [*wanted, "gone"]) == found
    assert (len(first), len(second)) == (2, 0)


async def test_after_a_switch_one_statement_without_text_says_what_is_visible(world: World) -> None:
    passages, wanted = VisiblePassages(world.engine), await ids(world)
    found = await passages.visible(["shared"], wanted[:2])
    await hide(world.engine, wanted[2])
    async with statements(world.engine) as seen:
        assert await passages.visible(["shared"], wanted[:2]) == found
    assert len(seen) == 1
    assert "passages.text" not in seen[0]


async def test_what_was_not_visible_is_seen_once_it_is(world: World) -> None:
    passages, wanted = VisiblePassages(world.engine), await ids(world)
    await hide(world.engine, wanted[0])
    assert set(await passages.visible(["shared"], wanted)) == set(wanted[1:])
    await change(world.engine, wanted[0], visible=True)
    assert set(await passages.visible(["shared"], wanted)) == set(wanted)


@pytest.mark.parametrize("known", [0, 1])
async def test_both_sides_of_a_switch_never_stand_side_by_side(
    world: World, known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The switch comes between the number that says "as before" and the statement about what is not known yet."""
    passages, wanted = VisiblePassages(world.engine), await ids(world)
    old, new, _ = wanted
    await hide(world.engine, new)
    await passages.visible(["shared"], [(old, new)[known]])
    number, ask = passages._switches.number, passages._ask

    async def ask_after_a_switch(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(passages, "_ask", ask)
        await hide(world.engine, old)
        await change(world.engine, new, visible=True)
        return await ask(*arguments, **named)

    monkeypatch.setattr(passages, "_ask", ask_after_a_switch)
    before = number()
    assert set(await passages.visible(["shared"], [old, new])) == {new}
    assert number() != before
    assert set(await passages.visible(["shared"], [old, new])) == {new}


async def test_where_nothing_tells_of_switches_each_question_is_asked(world: World) -> None:
    """As on PostgreSQL, and before a migration."""
    await world.engine.dispose()
    async with world.engine.begin() as connection:
        await connection.execute(text("DROP TABLE switches"))
    passages, wanted = VisiblePassages(world.engine), await ids(world)
    found = await passages.visible(["shared"], wanted)
    async with statements(world.engine) as seen:
        assert await passages.visible(["shared"], wanted) == found
    assert len(seen) == 1


async def test_however_many_are_asked_about_one_statement_says_what_is_visible(world: World) -> None:
    passages, wanted = VisiblePassages(world.engine), await ids(world)
    many = [*wanted[:1], *(f"gone{number}" for number in range(13_000)), *wanted[1:]]
    async with statements(world.engine) as first:
        await passages.visible(["shared"], many)
    await change(world.engine, wanted[0], fold="f")
    async with statements(world.engine) as seen:
        assert set(await passages.visible(["shared"], many)) == set(wanted)
    # of two, one could see what was before a switch and the other what came after; the first time, texts are read besides
    assert (len(first), len(seen)) == (2, 1)


async def test_what_another_process_hides_is_gone_at_once(world: World) -> None:
    passages, wanted = VisiblePassages(world.engine), await ids(world)
    assert len(await passages.visible(["shared"], wanted)) == 3
    other = create_async_engine(world.engine.url)
    await hide(other, wanted[0])
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
    await change(world.engine, wanted[0], location="elsewhere.md", title="Another title", fold="f")
    after = (await passages.visible(["shared"], wanted))[wanted[0]]
    assert (after.location, after.title, after.fold, after.text) == ("elsewhere.md", "Another title", "f", before.text)


async def test_only_so_many_are_remembered(world: World) -> None:
    passages, wanted = VisiblePassages(world.engine, remembered=2), await ids(world)
    assert len(await passages.visible(["shared"], wanted)) == 3
    await change(world.engine, wanted[0], fold="f")
    async with statements(world.engine) as seen:
        assert len(await passages.visible(["shared"], wanted[1:])) == 2
        await change(world.engine, wanted[0], fold="g")
        assert len(await passages.visible(["shared"], wanted)) == 3
    assert len(seen) == 3
