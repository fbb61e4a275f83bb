"""What every reranker promises."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pipeline.retrieval.crossencoder import CrossEncoderReranker
from pipeline.retrieval.reranking import Reranker
from tests.fakes.rerankers import WordsReranker, tiny_cross_encoder


@pytest.fixture(scope="module", params=["words", "cross-encoder"])
def reranker(request: pytest.FixtureRequest) -> Reranker:
    return WordsReranker() if request.param == "words" else request.getfixturevalue("cross_encoder")


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrossEncoderReranker]:
    reranker = CrossEncoderReranker(str(tiny_cross_encoder(tmp_path_factory.mktemp("reranker"))))
    yield reranker
    asyncio.run(reranker.close())


async def test_each_text_gets_its_own_score_wherever_it_stands(reranker: Reranker) -> None:
    texts = ["invoices are sent", "alert rule fires", "", "你好 🙂", "invoices " * 5000]
    scores = await reranker.scores("when are invoices sent", texts)
    assert len(scores) == len(texts)
    assert len(set(scores)) > 1
    backwards = await reranker.scores("when are invoices sent", texts[::-1])
    assert backwards[::-1] == pytest.approx(scores, abs=1e-5)


async def test_more_texts_than_a_batch_all_get_a_score(reranker: Reranker) -> None:
    assert len(await reranker.scores("alert", [f"the alert {i}" for i in range(75)])) == 75


async def test_no_texts_get_no_scores(reranker: Reranker) -> None:
    assert list(await reranker.scores("anything", [])) == []
