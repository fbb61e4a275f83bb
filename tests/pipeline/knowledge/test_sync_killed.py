"""A sync that dies at any step is finished or undone by the next, and readers never see half of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from pipeline.retrieval import MemoryKeywords, MemoryVectors
from pipeline.retrieval.protocols import Vectors
from pipeline.types import Passage
from tests.pipeline.knowledge.support import World, open_world

BEFORE = {
    "kept.md": "# Kept\n\nKept word for word.",
    "changed.md": "# Changed\n\nThe first section stays.\n\n## Second\n\nThe second section is old.",
    "removed.md": "# Removed\n\nSoon removed.",
}
AFTER = {
    "kept.md": BEFORE["kept.md"],
    "changed.md": "# Changed\n\nThe first section stays.\n\n## Second\n\nThe second section is new.",
    "added.md": "# Added\n\nFreshly added.",
}
OLD = {"Kept word for word.", "The first section stays.", "The second section is old.", "Soon removed."}
NEW = {"Kept word for word.", "The first section stays.", "The second section is new.", "Freshly added."}
QUESTION = "kept word first second section stays old new soon removed freshly added"


class Killed(BaseException):
    """The process is gone: nothing catches this, and nothing works afterwards."""


class Fuse:
    """Burns down with each step; when it is out, this and every later step raise."""

    def __init__(self) -> None:
        self.steps_left: int | None = None
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise Killed


class FusedVectors(MemoryVectors):
    """Each change is a step before it and a step after it."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse

    async def upsert(self, tenant: str, ids: Sequence[str], vectors: Vectors) -> None:
        self._fuse.step()
        await super().upsert(tenant, ids, vectors)
        self._fuse.step()

    async def delete(self, tenant: str, ids: Sequence[str]) -> None:
        self._fuse.step()
        await super().delete(tenant, ids)
        self._fuse.step()


class FusedKeywords(MemoryKeywords):
    """Each change is a step before it and a step after it."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self._fuse = fuse

    async def upsert(self, tenant: str, passages: Sequence[Passage]) -> None:
        self._fuse.step()
        await super().upsert(tenant, passages)
        self._fuse.step()

    async def delete(self, tenant: str, ids: Sequence[str]) -> None:
        self._fuse.step()
        await super().delete(tenant, ids)
        self._fuse.step()


@asynccontextmanager
async def fused_world(tmp_path: Path) -> AsyncIterator[tuple[World, Fuse]]:
    """A world whose every SQL statement, commit and index change is a step of the fuse."""
    fuse = Fuse()
    async with open_world(tmp_path) as world:
        for name in ("before_cursor_execute", "commit"):
            event.listen(world.engine.sync_engine, name, lambda *_: fuse.step())
        world.vectors, world.keywords = FusedVectors(fuse), FusedKeywords(fuse)
        yield world, fuse


def put(world: World, files: dict[str, str]) -> None:
    for path in world.folder.iterdir():
        path.unlink()
    for name, text in files.items():
        world.write(name, text)


async def steps_of(tmp_path: Path, prepare: Callable[[World], Any]) -> int:
    """How many steps the sync has when nobody kills it."""
    async with fused_world(tmp_path) as (world, fuse):
        await prepare(world)
        fuse.steps = 0
        await world.sync()
        return fuse.steps


async def with_old_documents(world: World) -> None:
    put(world, BEFORE)
    await world.sync()
    put(world, AFTER)


async def with_nothing(world: World) -> None:
    put(world, AFTER)


async def with_lost_index(world: World) -> None:
    await with_old_documents(world)
    world.vectors._tenants.clear()
    world.vectors._matrices.clear()


@pytest.mark.parametrize(
    ("prepare", "before"),
    [(with_old_documents, OLD), (with_nothing, set()), (with_lost_index, OLD)],
    ids=["changes", "first sync", "lost index"],
)
async def test_killed_at_any_step_readers_see_all_or_nothing_and_the_next_sync_completes(
    tmp_path: Path, prepare: Callable[[World], Any], before: set[str]
) -> None:
    (tmp_path / "count").mkdir()
    total = await steps_of(tmp_path / "count", prepare)
    assert total > 20
    seen_before = seen_after = 0
    for step in range(total):
        folder = tmp_path / str(step)
        folder.mkdir()
        async with fused_world(folder) as (world, fuse):
            await prepare(world)
            fuse.steps_left = step
            with suppress(Killed):
                await world.sync()
                pytest.fail(f"not killed at step {step}")
            fuse.steps_left = None
            found = await world.texts(QUESTION)
            assert found in (before, NEW), f"half a sync is visible after step {step}"
            seen_before += found == before
            seen_after += found == NEW
            await world.sync()
            assert await world.texts(QUESTION) == NEW, f"the sync after step {step} did not complete"
            await world.assert_tidy()
    assert seen_before > 5
    assert seen_after > 3


async def test_killed_while_it_cleans_up_nothing_needs_to_be_embedded_again_and_old_text_can_come_back(
    tmp_path: Path,
) -> None:
    (tmp_path / "count").mkdir()
    total = await steps_of(tmp_path / "count", with_old_documents)
    cleaning = 0
    for step in range(total // 2, total):
        folder = tmp_path / str(step)
        folder.mkdir()
        async with fused_world(folder) as (world, fuse):
            await with_old_documents(world)
            fuse.steps_left = step
            with suppress(Killed):
                await world.sync()
            fuse.steps_left = None
            if await world.texts(QUESTION) != NEW:
                continue
            cleaning += 1
            if step % 2:
                assert (await world.sync()).embedded == 0
            put(world, BEFORE)
            await world.sync()
            assert await world.texts(QUESTION) == OLD
            await world.assert_tidy()
    assert cleaning > 3


async def test_killed_twice_in_a_row_is_no_worse(tmp_path: Path) -> None:
    (tmp_path / "count").mkdir()
    total = await steps_of(tmp_path / "count", with_old_documents)
    async with fused_world(tmp_path) as (world, fuse):
        await with_old_documents(world)
        for step in range(0, total, 3):
            fuse.steps_left = step
            with suppress(Killed):
                await world.sync()
            fuse.steps_left = None
            assert await world.texts(QUESTION) in (OLD, NEW)
        await world.sync()
        assert await world.texts(QUESTION) == NEW
        await world.assert_tidy()


async def test_what_a_killed_sync_had_embedded_is_not_embedded_again(tmp_path: Path) -> None:
    async with fused_world(tmp_path) as (world, fuse):
        for number in range(600):
            world.write(f"{number}.md", f"# Page {number}\n\nText {number}.")
        fuse.steps = 0
        await world.sync(name="other", tenant="acme")
        fuse.steps_left = int(fuse.steps * 0.6)
        with suppress(Killed):
            await world.sync()
        fuse.steps_left = None
        report = await world.sync()
        assert report.added == 600
        assert 0 < report.embedded < 600
        await world.assert_tidy()


async def test_a_reader_during_a_sync_sees_the_old_documents_until_the_new_ones_are_complete(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await with_old_documents(world)
        seen: list[set[str]] = []

        class Watched(MemoryKeywords):
            async def upsert(self, tenant: str, passages: Sequence[Passage]) -> None:
                for passage in passages:
                    await super().upsert(tenant, [passage])
                    seen.append(await world.texts(QUESTION))

        watched = Watched()
        watched._tenants = world.keywords._tenants
        world.keywords = watched
        await world.sync()
        assert len(seen) == 2
        assert all(texts == OLD for texts in seen)
        assert await world.texts(QUESTION) == NEW


async def test_the_syncs_that_were_killed_are_told_from_those_that_run(tmp_path: Path) -> None:
    async with fused_world(tmp_path) as (world, fuse):
        await with_old_documents(world)
        fuse.steps_left = 12
        with suppress(Killed):
            await world.sync()
        fuse.steps_left = None
        [state] = await world.catalog.sources("shared")
        assert state.state == "running"
        await world.sync(name="other", tenant="acme")
        await world.sync()
        [state] = await world.catalog.sources("shared")
        assert state.state == "done"
