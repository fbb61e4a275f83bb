"""What the catalog tells about documents and sources."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from pipeline.errors import CatalogUnavailable
from pipeline.knowledge import Catalog
from tests.pipeline.knowledge.support import World, open_world


@pytest.fixture(params=["sqlite", "postgres"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    url = request.getfixturevalue("postgres") if request.param == "postgres" else None
    async with open_world(tmp_path, url) as world:
        yield world


async def test_a_synced_document_can_be_opened_by_its_tenant_only(world: World) -> None:
    world.write("alerts.md", "# Alerts\n\nFire at 5%.")
    await world.sync(tenant="acme")
    document = await world.catalog.document(["acme", "shared"], "docs:alerts.md")
    assert document is not None
    assert (document.tenant, document.title, document.text) == ("acme", "Alerts", "# Alerts\n\nFire at 5%.")
    assert await world.catalog.document(["umbrella", "shared"], "docs:alerts.md") is None
    assert await world.catalog.document(["acme"], "docs:nothing.md") is None
    assert await world.catalog.document([], "docs:alerts.md") is None


async def test_the_first_tenants_document_wins(world: World) -> None:
    world.write("a.md", "# Shared version")
    world.write("a.md", "# Shared version\n\ntext")
    await world.sync(tenant="shared")
    world.write("a.md", "# Our version\n\ntext")
    await world.sync(tenant="acme")
    document = await world.catalog.document(["acme", "shared"], "docs:a.md")
    assert document is not None
    assert document.title == "Our version"


async def test_documents_are_listed_by_location_with_their_versions(world: World) -> None:
    world.write("b.md", "# B\n\ntext")
    world.write("a.md", "# A\n\ntext")
    await world.sync()
    world.write("a.md", "# A\n\nother text")
    await world.sync()
    listed = await world.catalog.documents("shared")
    assert [(document.location, document.title, document.version) for document in listed] == [
        ("a.md", "A", 2),
        ("b.md", "B", 1),
    ]
    assert await world.catalog.documents("acme") == ()


async def test_a_passage_can_be_opened_by_its_tenant_only(world: World) -> None:
    world.write("a.md", "# A\n\ntext")
    await world.sync(tenant="acme")
    [passage] = await world.passages("acme")
    assert await world.catalog.passage(["acme"], passage.id) == passage
    assert await world.catalog.passage(["umbrella", "shared"], passage.id) is None


async def test_a_sources_state_tells_counts_failures_and_times(world: World) -> None:
    world.write("a.md", "# A\n\none\n\n## B\n\ntwo")
    world.write("bad.md", "")
    await world.sync()
    [state] = await world.catalog.sources("shared")
    assert (state.name, state.tenant, state.documents, state.passages, state.state) == (
        "docs",
        "shared",
        1,
        2,
        "done",
    )
    assert state.failed == (("bad.md", "empty file"),)
    assert state.last_error is None
    assert state.kind == "directory"
    assert state.last_synced is not None
    assert state.last_synced >= state.started_at
    assert state.started_at.tzinfo is not None


async def test_a_database_that_is_away_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    for url in (f"sqlite+aiosqlite:///{tmp_path}/no/such/folder/x.db", "postgresql+asyncpg://x:secret@127.0.0.1:9/x"):
        engine = create_async_engine(url)
        catalog = Catalog(engine)
        with pytest.raises(CatalogUnavailable, match="DATABASE_URL") as caught:
            await catalog.check()
        assert "secret" not in str(caught.value)
        with pytest.raises(CatalogUnavailable):
            await catalog.visible(["acme"], ["x"])
        await engine.dispose()


async def test_missing_tables_are_an_error_that_names_the_command(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/empty.db")
    with pytest.raises(CatalogUnavailable, match="promptai migrate"):
        await Catalog(engine).check()
    await engine.dispose()
