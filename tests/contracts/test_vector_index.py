"""What every vector index promises."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.retrieval import ChromaVectors, MemoryVectors
from pipeline.retrieval.protocols import VectorIndex, Vectors
from tests.pipeline.retrieval.support import chroma_server


@pytest.fixture(scope="session")
def chroma_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with chroma_server(tmp_path_factory.mktemp("chroma-server")) as url:
        yield url


@pytest.fixture(params=["memory", "chroma folder", "chroma server"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[VectorIndex]:
    built: VectorIndex
    if request.param == "memory":
        built = MemoryVectors()
    elif request.param == "chroma folder":
        built = ChromaVectors(tmp_path / "chroma", "test-v1")
    else:
        built = ChromaVectors(request.getfixturevalue("chroma_url"), "test-v1")
        for tenant in ("acme", "ACME", "umbrella"):
            await built.drop(tenant)
    yield built
    await built.close()


def vectors(*angles: float) -> Vectors:
    """Unit vectors in the plane, by degrees."""
    radians = np.radians(angles)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


async def test_the_nearest_come_first_with_their_cosine(index: VectorIndex) -> None:
    await index.upsert("acme", ["right", "up", "left"], vectors(0, 90, 180))
    [matches] = await index.query(["acme"], vectors(10), 3)
    assert [match.passage_id for match in matches] == ["right", "up", "left"]
    np.testing.assert_allclose([match.score for match in matches], np.cos(np.radians([10, 80, 170])), atol=1e-4)


async def test_each_query_vector_gets_its_own_list(index: VectorIndex) -> None:
    await index.upsert("acme", ["right", "up"], vectors(0, 90))
    lists = await index.query(["acme"], vectors(80, 5), 1)
    assert [[match.passage_id for match in matches] for matches in lists] == [["up"], ["right"]]


async def test_asking_for_more_than_there_are_returns_all(index: VectorIndex) -> None:
    await index.upsert("acme", ["right", "up"], vectors(0, 90))
    [matches] = await index.query(["acme"], vectors(0), 50)
    assert len(matches) == 2


async def test_a_tenant_without_passages_has_no_matches(index: VectorIndex) -> None:
    assert await index.query(["acme"], vectors(0, 90), 5) == [[], []]
    assert await index.vectors("acme", ["right"]) == {}
    assert await index.count("acme") == 0


async def test_no_query_vectors_give_no_lists(index: VectorIndex) -> None:
    await index.upsert("acme", ["right"], vectors(0))
    assert await index.query(["acme"], vectors(), 5) == []


async def test_tenants_do_not_see_each_other_even_if_only_case_differs(index: VectorIndex) -> None:
    await index.upsert("acme", ["mine"], vectors(0))
    await index.upsert("ACME", ["theirs"], vectors(0))
    [matches] = await index.query(["acme"], vectors(0), 5)
    assert [match.passage_id for match in matches] == ["mine"]
    assert await index.vectors("acme", ["theirs"]) == {}


async def test_the_nearest_of_several_tenants_come_in_one_list(index: VectorIndex) -> None:
    await index.upsert("acme", ["near", "far"], vectors(10, 90))
    await index.upsert("umbrella", ["between"], vectors(40))
    lists = await index.query(["acme", "nobody", "umbrella"], vectors(0, 90), 2)
    assert [[match.passage_id for match in matches] for matches in lists] == [["near", "between"], ["far", "between"]]


async def test_upserting_an_id_again_replaces_its_vector(index: VectorIndex) -> None:
    await index.upsert("acme", ["a"], vectors(0))
    await index.upsert("acme", ["a"], vectors(90))
    stored = await index.vectors("acme", ["a"])
    np.testing.assert_allclose(stored["a"], vectors(90)[0], atol=1e-6)
    assert await index.count("acme") == 1


async def test_deleted_passages_are_found_no_more(index: VectorIndex) -> None:
    await index.upsert("acme", ["a", "b"], vectors(0, 10))
    await index.delete("acme", ["a"])
    [matches] = await index.query(["acme"], vectors(0), 5)
    assert [match.passage_id for match in matches] == ["b"]
    assert await index.count("acme") == 1


async def test_deleting_what_is_not_there_is_no_error(index: VectorIndex) -> None:
    await index.delete("acme", ["nothing"])
    await index.upsert("acme", ["a"], vectors(0))
    await index.delete("acme", ["nothing"])
    await index.delete("acme", [])
    assert await index.count("acme") == 1


async def test_upserting_nothing_is_no_error(index: VectorIndex) -> None:
    await index.upsert("acme", [], vectors())
    assert await index.count("acme") == 0


async def test_stored_vectors_are_returned_for_the_ids_that_exist(index: VectorIndex) -> None:
    await index.upsert("acme", ["a", "b"], vectors(30, 60))
    stored = await index.vectors("acme", ["b", "nothing"])
    assert list(stored) == ["b"]
    assert stored["b"].dtype == np.float32
    np.testing.assert_allclose(stored["b"], vectors(60)[0], atol=1e-6)


async def test_more_passages_than_one_batch_of_chroma_are_all_stored(index: VectorIndex) -> None:
    ids = [f"p{i}" for i in range(6000)]
    await index.upsert("acme", ids, vectors(*(i * 0.05 for i in range(6000))))
    assert await index.count("acme") == 6000
    await index.delete("acme", ids[:5999])
    assert await index.count("acme") == 1


async def test_a_dropped_tenant_is_gone_and_others_stay(index: VectorIndex) -> None:
    await index.upsert("acme", ["a"], vectors(0))
    await index.upsert("umbrella", ["u"], vectors(0))
    await index.drop("acme")
    await index.drop("acme")
    assert await index.query(["acme"], vectors(0), 5) == [[]]
    assert await index.count("umbrella") == 1
    await index.upsert("acme", ["b"], vectors(0))
    assert await index.count("acme") == 1


async def test_pruning_keeps_what_the_present_embedder_wrote(index: VectorIndex) -> None:
    await index.upsert("acme", ["a"], vectors(0))
    await index.prune("acme")
    assert await index.count("acme") == 1


async def test_a_usable_index_passes_its_check(index: VectorIndex) -> None:
    await index.check()
