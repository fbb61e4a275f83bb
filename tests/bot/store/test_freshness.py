"""Answers whose sources have changed since."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import SqlStore
from bot.store.freshness import SqlFreshness
from pipeline.knowledge.tables import PassageRow
from pipeline.types import Passage
from tests.fakes.samples import ANSWER, NOW, PASSAGE, question


class World:
    """A database with an answered question, and passages to change."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.store = SqlStore(engine, now=lambda: NOW)
        self.freshness = SqlFreshness(engine, now=lambda: NOW + timedelta(days=1))

    async def show(self, passage: Passage) -> None:
        row = {
            **{name: getattr(passage, name) for name in ("id", "document_id", "tenant", "location", "title", "text")},
            "heading_path": list(passage.heading_path),
            "position": passage.position,
            "source": "docs",
            "sync": "s",
            "visible": True,
            "indexed_by": "",
        }
        async with self.engine.begin() as connection:
            await connection.execute(insert(PassageRow), [row])

    async def hide(self, *, for_good: bool = False) -> None:
        """As a sync does at its switch, or later when it collects what nobody sees."""
        async with self.engine.begin() as connection:
            statement = delete(PassageRow) if for_good else update(PassageRow).values(visible=False)
            await connection.execute(statement.where(PassageRow.id == PASSAGE.id))

    async def reasons(self) -> list[str]:
        return [each.reason for each in await self.freshness.stale()]


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    built = World(engine)
    await built.show(PASSAGE)
    await built.store.add_question(question())
    await built.store.set_answer(question().id, ANSWER)
    await built.store.set_reply(question().id, "reply-1")
    return built


async def test_an_answer_whose_sources_stand_is_fresh(world: World) -> None:
    assert await world.freshness.mark() == 0
    assert await world.freshness.stale() == []


@pytest.mark.parametrize("for_good", [False, True])
async def test_an_answer_that_cites_a_removed_page_is_marked_once(world: World, for_good: bool) -> None:
    await world.hide(for_good=for_good)
    assert await world.freshness.mark() == 1
    assert await world.freshness.mark() == 0
    [stale] = await world.freshness.stale()
    assert (stale.reason, stale.location, stale.number, stale.reply_id) == ("removed", "page.md#a", 1, "reply-1")
    assert stale.question == question()
    assert (stale.answered_at, stale.since) == (NOW, NOW + timedelta(days=1))


async def test_an_answer_that_cites_changed_words_is_marked(world: World) -> None:
    await world.hide()
    await world.show(replace(PASSAGE, id="p2", text="It is twenty seconds."))
    await world.freshness.mark()
    assert await world.reasons() == ["changed"]


async def test_the_same_words_in_a_page_that_was_cut_anew_are_fresh(world: World) -> None:
    await world.hide()
    await world.show(replace(PASSAGE, id="p2", position=3))
    assert await world.freshness.mark() == 0
    async with world.engine.begin() as connection:
        await connection.execute(update(PassageRow).where(PassageRow.id == "p2").values(text="It is twenty seconds."))
    assert await world.freshness.mark() == 0  # passages are content-addressed: an id that is visible is unchanged


async def test_words_that_now_stand_in_a_longer_passage_are_fresh(world: World) -> None:
    await world.hide()
    await world.show(replace(PASSAGE, id="p2", text="Wait.\n\n  It is  ten seconds.\n\nThen go on."))
    assert await world.freshness.mark() == 0


async def test_the_same_words_of_another_tenant_do_not_count(world: World) -> None:
    await world.hide()
    await world.show(replace(PASSAGE, id="p2", tenant="umbrella"))
    await world.freshness.mark()
    assert await world.reasons() == ["removed"]


async def test_an_answer_is_fresh_again_when_its_passage_comes_back(world: World) -> None:
    await world.hide()
    await world.freshness.mark()
    async with world.engine.begin() as connection:
        await connection.execute(update(PassageRow).values(visible=True))
    await world.freshness.mark()
    assert await world.freshness.stale() == []


async def test_only_one_tenants_answers_are_listed_where_asked(world: World) -> None:
    await world.hide()
    await world.freshness.mark()
    assert len(await world.freshness.stale("acme")) == 1
    assert await world.freshness.stale("umbrella") == []


async def test_a_thread_is_told_once(world: World) -> None:
    await world.hide()
    await world.freshness.mark()
    assert len(await world.freshness.stale(untold=True)) == 1
    assert await world.freshness.set_told(question().id)
    assert not await world.freshness.set_told(question().id)
    assert await world.freshness.stale(untold=True) == []
    assert len(await world.freshness.stale()) == 1
    await world.freshness.set_untold(question().id)
    assert len(await world.freshness.stale(untold=True)) == 1
    assert await world.freshness.set_told(question().id)


async def test_an_answer_that_is_stored_twice_cites_once(world: World) -> None:
    await world.store.set_answer(question().id, ANSWER)
    await world.hide()
    assert await world.freshness.mark() == 1
