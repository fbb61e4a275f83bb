"""How similar what was found by words alone is to the question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.retrieval import MemoryVectors
from pipeline.retrieval.protocols import Vectors
from pipeline.retrieval.similarities import Similarities
from tests.pipeline.retrieval.support import make_passage

MINE, SHARED, GONE = make_passage("Mine."), make_passage("Everybody's.", tenant="shared"), make_passage("Gone.")
QUESTION = np.array([1.0, 0.0], dtype=np.float32)


class Counting(MemoryVectors):
    """Notes which vectors are fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    async def vectors(self, tenant: str, ids: Sequence[str]) -> dict[str, Vectors]:
        self.fetched += ids
        return await super().vectors(tenant, ids)


@pytest.fixture
async def index() -> Counting:
    index = Counting()
    await index.upsert("acme", [MINE.id], np.array([[0.6, 0.8]], dtype=np.float32))
    await index.upsert("shared", [SHARED.id], np.array([[0.0, 1.0]], dtype=np.float32))
    return index


async def test_each_tenants_vectors_are_compared_and_what_is_gone_is_left_out(index: Counting) -> None:
    found = await Similarities(index).of([MINE, SHARED, GONE], QUESTION)
    assert found == {MINE.id: pytest.approx(0.6), SHARED.id: 0.0}


async def test_a_vector_is_fetched_once_for_all_questions_and_one_that_was_missing_again(index: Counting) -> None:
    similarities = Similarities(index)
    await similarities.of([MINE, GONE], QUESTION)
    index.fetched.clear()
    assert await similarities.of([MINE, SHARED, GONE], -QUESTION) == {MINE.id: pytest.approx(-0.6), SHARED.id: 0.0}
    assert set(index.fetched) == {SHARED.id, GONE.id}


async def test_what_is_forgotten_to_make_room_is_still_compared(index: Counting) -> None:
    similarities = Similarities(index, remembered=1)
    await similarities.of([MINE], QUESTION)
    assert set(await similarities.of([MINE, SHARED], QUESTION)) == {MINE.id, SHARED.id}
    index.fetched.clear()
    await similarities.of([SHARED], QUESTION)
    assert index.fetched == []
    await similarities.of([MINE], QUESTION)
    assert index.fetched == [MINE.id]
