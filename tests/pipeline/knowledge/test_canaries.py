"""Canaries prove that tenants are kept apart, and notice when they are not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from pipeline.errors import TenantRefused
from pipeline.knowledge.canaries import Canaries, Leak, canary
from pipeline.knowledge.tables import PassageRow
from pipeline.retrieval import ChromaVectors, HashingEmbedder, Retriever, TantivyKeywords
from pipeline.retrieval.guard import GuardedRetriever
from pipeline.types import SHARED
from tests.pipeline.knowledge.support import World, open_world

TENANTS = ("acme", "umbrella", "wayne")


@pytest.fixture(params=["memory", "real"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        if request.param == "real":
            opened.vectors = ChromaVectors(tmp_path / "chroma", HashingEmbedder.fingerprint)
            opened.keywords = TantivyKeywords(tmp_path / "keywords")
        yield opened
        await opened.vectors.close()
        await opened.keywords.close()


def canaries(world: World) -> Canaries:
    return Canaries(world.catalog, world.embedder, world.vectors, world.keywords)


async def planted(world: World) -> Canaries:
    world.write("page.md", "# Alerts\n\nAn alert fires.\n")
    await world.sync(SHARED)
    built = canaries(world)
    for tenant in TENANTS:
        await built.plant(tenant)
    return built


async def test_tenants_that_are_kept_apart_pass(world: World) -> None:
    report = await (await planted(world)).check(TENANTS)
    assert report.tenants == TENANTS
    assert report.leaks == ()
    assert report.blind == ()


async def test_a_vector_in_the_wrong_collection_is_a_leak(world: World) -> None:
    built = await planted(world)
    foreign = canary("umbrella")
    await world.vectors.upsert("acme", [foreign.id], await world.embedder.embed([foreign.embedded_text]))
    report = await built.check(TENANTS)
    assert report.leaks == (Leak("acme", "umbrella", "vectors"),)
    assert report.leaking == {"acme"}


async def test_a_passage_in_the_wrong_keyword_index_is_a_leak(world: World) -> None:
    built = await planted(world)
    await world.keywords.upsert("wayne", [canary("acme")])
    assert (await built.check(TENANTS)).leaks == (Leak("wayne", "acme", "keywords"),)


async def test_a_row_that_names_the_wrong_tenant_is_a_leak(world: World) -> None:
    built = await planted(world)
    foreign = canary("umbrella")
    async with world.engine.begin() as connection:
        held = update(PassageRow).where(PassageRow.id == foreign.id)
        await connection.execute(held.values(tenant="acme"))
    report = await built.check(TENANTS)
    assert Leak("acme", "umbrella", "catalog") in report.leaks
    assert ("umbrella", "catalog") in report.blind


async def test_a_private_passage_in_the_shared_index_is_a_leak_to_everybody_else(world: World) -> None:
    built = await planted(world)
    await world.keywords.upsert(SHARED, [canary("acme")])
    report = await built.check(TENANTS)
    assert report.leaking == {"umbrella", "wayne", SHARED}


async def test_a_canary_that_an_index_has_lost_is_told_and_planted_anew(world: World) -> None:
    built = await planted(world)
    await world.vectors.drop("acme")
    assert (await built.check(TENANTS)).blind == (("acme", "vectors"),)
    await built.plant("acme")
    assert (await built.check(TENANTS)).blind == ()


async def test_planting_again_embeds_nothing(world: World) -> None:
    built = await planted(world)

    class Refuses(HashingEmbedder):
        async def embed(self, texts):
            raise AssertionError("embedded again")

    again = Canaries(world.catalog, Refuses(), world.vectors, world.keywords)
    await again.plant("acme")
    assert (await built.check(TENANTS)).blind == ()


async def test_a_canary_never_is_a_hit_not_even_its_own_tenants(world: World) -> None:
    await planted(world)
    retriever = Retriever(world.embedder, world.vectors, world.keywords, world.catalog)
    hits = await retriever.retrieve(canary("acme").text, draft=canary("acme").text, tenant="acme", k=50)
    assert [hit.passage.title for hit in hits] == ["Alerts"]


async def test_a_sync_leaves_the_canary_where_it_is(world: World) -> None:
    built = await planted(world)
    world.write("mine.md", "# Contract\n\nOur price.\n")
    await world.sync("acme")
    await world.sync("acme")
    assert (await built.check(TENANTS)).blind == ()


async def test_more_tenants_than_one_query_holds_are_checked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.knowledge.canaries._AT_ONCE", 2)
    built = await planted(world)
    await world.keywords.upsert("acme", [canary("wayne")])
    report = await built.check(TENANTS)
    assert report.leaks == (Leak("acme", "wayne", "keywords"),)
    assert report.blind == ()


async def test_no_tenants_are_no_leaks(world: World) -> None:
    report = await canaries(world).check(())
    assert (report.leaks, report.blind) == ((), ())


async def test_who_leaks_is_refused_and_the_others_go_on(world: World) -> None:
    await planted(world)
    guarded = GuardedRetriever(Retriever(world.embedder, world.vectors, world.keywords, world.catalog))
    guarded.refuse({"acme"})
    with pytest.raises(TenantRefused, match="promptai tenants check"):
        await guarded.retrieve("alert", draft=None, tenant="acme", k=1)
    assert await guarded.retrieve("alert", draft=None, tenant="umbrella", k=1)
    guarded.refuse(())
    assert await guarded.retrieve("alert", draft=None, tenant="acme", k=1)


async def test_a_document_that_is_called_canary_is_a_document(world: World) -> None:
    world.write("canary.md", "# Canary\n\nA small bird that sings in mines.\n")
    await world.sync("acme", name="canary")
    assert [hit.passage.title for hit in await world.search("bird")] == ["Canary"]
