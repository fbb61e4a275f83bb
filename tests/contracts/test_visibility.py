"""What every catalog of visible passages promises to retrieval."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from pipeline.knowledge import Catalog
from pipeline.knowledge.tables import PassageRow
from pipeline.retrieval import MemoryVisibility
from pipeline.retrieval.protocols import Visibility
from pipeline.types import Passage
from tests.pipeline.knowledge.support import knowledge_engine
from tests.pipeline.retrieval.support import make_passage

Change = Callable[..., Awaitable[None]]


class Case:
    """A catalog and how to change what it shows."""

    def __init__(self, catalog: Visibility, show: Change, hide: Change) -> None:
        self.catalog, self.show, self.hide = catalog, show, hide


def in_memory() -> Case:
    catalog = MemoryVisibility()

    async def show(*passages: Passage) -> None:
        catalog.show(*passages)

    async def hide(*passages: Passage) -> None:
        catalog.hide(*passages)

    return Case(catalog, show, hide)


def in_sql(engine: AsyncEngine) -> Case:
    async def show(*passages: Passage) -> None:
        rows = [
            asdict(passage)
            | {"heading_path": list(passage.heading_path), "source": "docs", "sync": "s", "visible": True}
            | {"indexed_by": ""}
            for passage in passages
        ]
        async with engine.begin() as connection:
            await connection.execute(insert(PassageRow), rows)

    async def hide(*passages: Passage) -> None:
        async with engine.begin() as connection:
            for passage in passages:
                await connection.execute(update(PassageRow).where(PassageRow.id == passage.id).values(visible=False))

    return Case(Catalog(engine), show, hide)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Case]:
    if request.param == "memory":
        yield in_memory()
        return
    url = request.getfixturevalue("postgres") if request.param == "postgres" else None
    async with knowledge_engine(tmp_path, url) as engine:
        yield in_sql(engine)


MINE = make_passage("Ours, with `code` and ünïcode.", path=("Page", "Section"))
SHARED = make_passage("Everybody's.", tenant="shared")
THEIRS = make_passage("Theirs.", tenant="umbrella")


async def test_visible_passages_come_back_whole(case: Case) -> None:
    await case.show(MINE)
    assert await case.catalog.visible(["acme"], [MINE.id]) == {MINE.id: MINE}


async def test_only_the_tenants_asked_for_are_seen(case: Case) -> None:
    await case.show(MINE, SHARED, THEIRS)
    found = await case.catalog.visible(["acme", "shared"], [MINE.id, SHARED.id, THEIRS.id])
    assert set(found) == {MINE.id, SHARED.id}


async def test_no_tenants_see_nothing(case: Case) -> None:
    await case.show(MINE)
    assert await case.catalog.visible([], [MINE.id]) == {}


async def test_hidden_and_unknown_passages_are_left_out(case: Case) -> None:
    await case.show(MINE, SHARED)
    await case.hide(MINE)
    assert set(await case.catalog.visible(["acme", "shared"], [MINE.id, SHARED.id, "0" * 32])) == {SHARED.id}


async def test_no_ids_are_no_passages(case: Case) -> None:
    await case.show(MINE)
    assert await case.catalog.visible(["acme"], []) == {}


async def test_thousands_of_ids_can_be_asked_for_at_once(case: Case) -> None:
    many = [make_passage(f"Passage {i}", position=i) for i in range(2500)]
    await case.show(*many)
    assert len(await case.catalog.visible(["acme"], [passage.id for passage in many])) == 2500
