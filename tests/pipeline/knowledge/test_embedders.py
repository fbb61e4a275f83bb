"""Another embedder's index is built beside the one that serves, and both are switched at once or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import event

from pipeline.errors import SyncBusy
from pipeline.knowledge import DirectorySource
from pipeline.knowledge.embedders import Embedders, Switched
from pipeline.knowledge.leases import Leases
from pipeline.knowledge.rebuilding import Rebuild
from pipeline.retrieval import HashingEmbedder, MemoryVectors
from pipeline.retrieval.protocols import Vectors
from tests.pipeline.knowledge.support import World, open_world

FIGURES = {"arms": {"question": {"difference": 0.1}}}


class Killed(BaseException):
    """The process is gone."""


class Other(HashingEmbedder):
    """Another embedder of half as many dimensions; dies after some texts where it is told to."""

    fingerprint = "other-1"

    def __init__(self) -> None:
        super().__init__()
        self.embedded = 0
        self.dies_after: int | None = None

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if self.dies_after is not None and self.embedded >= self.dies_after:
            raise Killed
        self.embedded += len(texts)
        rows = await super().embed(texts)
        half = rows[:, ::2] + 1e-3
        return half / (half**2).sum(axis=1, keepdims=True) ** 0.5  # type: ignore[no-any-return]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as made:
        for number in range(3):
            made.write(f"page{number}.md", f"# Page {number}\n\nThe word of page {number} is zebra{number}.")
        await made.sync()
        await made.sync("acme")
        yield made


async def switch(world: World, new: Other, vectors: MemoryVectors) -> Embedders:
    registry = Embedders(world.engine)
    tenants = await registry.tenants()
    await registry.begin(new.fingerprint, "/models/other")
    await Rebuild(world.engine, new, vectors).fill(tenants, lambda _done, _total: None)
    old = (world.embedder.fingerprint, "default")
    await registry.switch(Switched(old, (new.fingerprint, "/models/other"), True, FIGURES), tenants)
    return registry


async def test_after_a_switch_the_new_index_serves_and_a_sync_embeds_nothing(world: World) -> None:
    new, vectors = Other(), MemoryVectors()
    registry = await switch(world, new, vectors)
    world.embedder, world.vectors = new, vectors
    assert await world.texts("zebra1")
    assert (await world.sync()).embedded == 0
    await world.assert_tidy()
    serving, previous = await registry.serving(), await registry.previous()
    assert serving
    assert previous
    assert (serving.fingerprint, previous.fingerprint) == ("other-1", HashingEmbedder().fingerprint)
    assert serving.history[-1]["arms"] == FIGURES["arms"]


async def test_a_killed_build_changes_nothing_and_is_gone_on_with(world: World) -> None:
    new, vectors = Other(), MemoryVectors()
    new.dies_after = 3
    with pytest.raises(Killed):
        await switch(world, new, vectors)
    assert await Embedders(world.engine).serving() is None
    assert len(await world.texts("zebra1")) > 0
    new.dies_after, before = None, new.embedded
    await switch(world, new, vectors)
    assert new.embedded - before == len(await world.passages()) + len(await world.passages("acme")) - before


async def test_killed_within_the_switch_the_old_embedder_stays_with_the_old_index(world: World) -> None:
    new, vectors = Other(), MemoryVectors()

    def die(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("UPDATE documents"):
            raise Killed

    event.listen(world.engine.sync_engine, "before_cursor_execute", die)
    with pytest.raises(Killed):
        await switch(world, new, vectors)
    event.remove(world.engine.sync_engine, "before_cursor_execute", die)
    assert await Embedders(world.engine).serving() is None
    assert (await world.sync()).embedded == 0
    await world.assert_tidy()


async def test_what_was_synced_since_is_filled_in_before_a_roll_back(world: World) -> None:
    old, old_vectors = world.embedder, world.vectors
    new, vectors = Other(), MemoryVectors()
    registry = await switch(world, new, vectors)
    world.embedder, world.vectors = new, vectors
    world.write("late.md", "# Late\n\nGiraffes came late.")
    await world.sync()
    tenants = await registry.tenants()
    assert await Rebuild(world.engine, old, old_vectors).fill(tenants, lambda _done, _total: None) == 1
    back = Switched((new.fingerprint, "/models/other"), (old.fingerprint, "default"), True, {})
    await registry.switch(back, tenants)
    world.embedder, world.vectors = old, old_vectors
    assert "Giraffes came late." in await world.texts("giraffes late")
    assert (await world.sync()).embedded == 0


async def test_syncs_keep_the_indexes_of_serving_previous_and_building_embedders_only(world: World) -> None:
    registry = await switch(world, Other(), MemoryVectors())
    await registry.begin("third-1", "/models/third")
    assert await registry.kept() == {"other-1", HashingEmbedder().fingerprint, "third-1"}
    await registry.refuse("third-1", "/models/third", FIGURES)
    assert await registry.kept() == {"other-1", HashingEmbedder().fingerprint}
    assert "third-1" in await registry.forget()
    assert await registry.kept() == {"other-1"}


async def test_an_embedder_in_service_is_neither_refused_nor_built_over(world: World) -> None:
    registry = await switch(world, Other(), MemoryVectors())
    await registry.begin("other-1", "/elsewhere")
    await registry.refuse("other-1", "/elsewhere", FIGURES)
    serving = await registry.serving()
    assert serving
    assert serving.model == "/models/other"


async def test_while_syncs_are_paused_another_process_may_not_sync(world: World) -> None:
    other = Leases(world.engine, "another process", world.syncer()._now)
    async with world.syncer().paused(["shared", "acme"]):
        with pytest.raises(SyncBusy):
            async with other.hold("shared"):
                pass
    async with other.hold("shared"):
        with pytest.raises(SyncBusy):
            async with world.syncer().paused(["shared"]):
                pass


async def test_a_sync_first_adopts_what_was_promoted_meanwhile(world: World) -> None:
    new, vectors = Other(), MemoryVectors()

    async def adopt() -> None:
        syncer.use(new, vectors)

    syncer = world.syncer(before=adopt)
    await syncer.sync(DirectorySource(world.folder, name="docs"), tenant="shared")
    assert await vectors.count("shared") == len(await world.passages())


async def test_who_wrote_the_index_is_told(world: World) -> None:
    written = await Embedders(world.engine).written_by()
    assert written == {HashingEmbedder().fingerprint: 6}
