"""What every embedder promises."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.retrieval import HashingEmbedder, SentenceTransformerEmbedder
from pipeline.retrieval.protocols import Embedder


@pytest.fixture(scope="module", params=["hashing", "MiniLM"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return HashingEmbedder() if request.param == "hashing" else request.getfixturevalue("minilm")


@pytest.fixture(scope="module")
def minilm() -> Iterator[SentenceTransformerEmbedder]:
    embedder = SentenceTransformerEmbedder("all-MiniLM-L6-v2")
    yield embedder
    asyncio.run(embedder.close())


async def test_each_text_gets_a_float32_unit_vector(embedder: Embedder) -> None:
    rows = await embedder.embed(["Rebuffering ratio", "a", "", "你好 🙂", "x" * 5000])
    assert rows.dtype == np.float32
    assert rows.shape[0] == 5
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)


async def test_no_texts_give_no_rows_of_the_same_width(embedder: Embedder) -> None:
    none, one = await embedder.embed([]), await embedder.embed(["one"])
    assert none.shape == (0, one.shape[1])


async def test_rows_come_in_the_order_of_the_texts_whatever_their_lengths(embedder: Embedder) -> None:
    texts = [f"{word} " * length for word, length in [("alpha", 40), ("beta", 1), ("gamma", 90), ("delta", 7)]]
    together = await embedder.embed(texts)
    for row, text in zip(together, texts, strict=True):
        np.testing.assert_allclose(row, (await embedder.embed([text]))[0], atol=1e-3)


async def test_more_texts_than_a_batch_all_get_their_own_vector(embedder: Embedder) -> None:
    texts = [f"the number {i}" for i in range(75)]
    rows = await embedder.embed(texts)
    assert rows.shape[0] == 75
    np.testing.assert_allclose(rows[74], (await embedder.embed([texts[74]]))[0], atol=1e-3)


async def test_concurrent_callers_each_get_their_own_rows(embedder: Embedder) -> None:
    texts = [f"question about metric {i}" for i in range(20)]
    answers = await asyncio.gather(*(embedder.embed([text]) for text in texts))
    alone = await embedder.embed(texts)
    np.testing.assert_allclose(np.concatenate(answers), alone, atol=1e-3)


async def test_texts_about_the_same_are_more_similar_than_others(embedder: Embedder) -> None:
    question, near, far = await embedder.embed(
        [
            "How do I configure an alert for buffering?",
            "Alerts for buffering are configured on the alert page.",
            "Invoices are sent on the first of each month.",
        ]
    )
    assert question @ near > question @ far + 0.1


def test_the_fingerprint_can_be_part_of_a_collection_name(embedder: Embedder) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,38}[a-z0-9]", embedder.fingerprint)


def test_longer_texts_have_more_tokens_and_are_not_capped(embedder: Embedder) -> None:
    assert 0 < embedder.count_tokens("word") < embedder.count_tokens("word " * 10)
    assert embedder.count_tokens("word " * 1000) > embedder.max_tokens >= 64
