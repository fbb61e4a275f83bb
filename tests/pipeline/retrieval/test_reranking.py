"""A second opinion on what was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.errors import IndexUnavailable
from pipeline.retrieval import HashingEmbedder, MemoryKeywords, MemoryVectors, MemoryVisibility, Retriever
from pipeline.retrieval.crossencoder import CrossEncoderReranker
from pipeline.retrieval.reranking import Reranker, Reranking
from pipeline.speculation import sure
from pipeline.types import Filters, Hit
from tests.fakes.rerankers import tiny_cross_encoder
from tests.pipeline.retrieval.support import make_passage

QUESTION = "when are invoices sent"
PASSAGES = [
    make_passage(text, document=f"docs:{at}.md", path=(f"Page {at}",))
    for at, text in enumerate(
        [
            "Invoices are sent on the first day.",
            "Invoices are sent by mail.",
            "Invoices can be disputed.",
            "Alert rules.",
        ]
    )
]
FOREIGN = make_passage("When are invoices sent: umbrella's secret.", tenant="umbrella", path=("Secret",))


class Scripted:
    """Gives the scores it was made with, by a passage's text; or raises."""

    def __init__(self, scores: dict[int, float] | None = None, error: Exception | None = None) -> None:
        self._scores = {PASSAGES[at].embedded_text: score for at, score in (scores or {}).items()}
        self._error = error
        self.seen: list[str] = []

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        assert question == QUESTION
        self.seen += texts
        if self._error:
            raise self._error
        return [self._scores.get(text, 0.0) for text in texts]


class Silent:
    """Breaks its promise of one score a text."""

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        return []


async def hits(reranker: Reranker | None, *, depth: int = 20, k: int = 4, filters: Filters = Filters()) -> list[Hit]:  # noqa: B008
    embedder, vectors, keywords, catalog = HashingEmbedder(), MemoryVectors(), MemoryKeywords(), MemoryVisibility()
    for passage in (*PASSAGES, FOREIGN):
        await vectors.upsert(passage.tenant, [passage.id], await embedder.embed([passage.embedded_text]))
        await keywords.upsert(passage.tenant, [passage])
        catalog.show(passage)
    reranking = Reranking(reranker, depth) if reranker else None
    retriever = Retriever(embedder, vectors, keywords, catalog, reranking=reranking)
    return list(await retriever.retrieve(QUESTION, draft=None, tenant="acme", k=k, filters=filters))


def pages(found: Sequence[Hit]) -> list[str]:
    return [hit.passage.document_id for hit in found]


async def test_the_rerankers_order_replaces_the_fused_one() -> None:
    found = await hits(Scripted({3: 4.0, 2: 3.0, 1: 2.0, 0: 1.0}))
    assert pages(found) == ["docs:3.md", "docs:2.md", "docs:1.md", "docs:0.md"]


async def test_a_hit_tells_its_rank_for_the_reranker_beside_the_lists_that_found_it() -> None:
    [best, *_] = await hits(Scripted({2: 3.5}))
    assert best.found_by[-1].query == "reranker"
    assert (best.found_by[-1].rank, best.found_by[-1].score, best.found_by[-1].weight) == (1, 3.5, 0.0)
    assert {"dense(question)", "keyword(question)"} <= {by.query for by in best.found_by}


async def test_only_the_first_of_the_fused_order_are_read_and_the_others_stay_behind_them() -> None:
    plain = pages(await hits(None))
    reranker = Scripted({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0})
    found = await hits(reranker, depth=2)
    assert len(reranker.seen) == 2
    assert set(pages(found)[:2]) == set(plain[:2])
    assert pages(found)[2:] == plain[2:]
    assert [by.query for by in found[2].found_by if by.query == "reranker"] == []


async def test_equal_scores_keep_the_fused_order() -> None:
    assert pages(await hits(Scripted())) == pages(await hits(None))


@pytest.mark.parametrize(
    "failing",
    [Scripted(error=IndexUnavailable("no model")), Scripted({0: float("nan")}), Silent()],
    ids=["an error", "not a number", "too few scores"],
)
async def test_a_reranker_that_fails_leaves_the_fused_order(failing: Reranker) -> None:
    assert await hits(failing) == await hits(None)


async def test_the_reranker_reads_nothing_that_may_not_be_shown() -> None:
    reranker = Scripted()
    await hits(reranker)
    assert FOREIGN.embedded_text not in reranker.seen
    assert len(reranker.seen) == len(PASSAGES)


async def test_a_rerankers_opinion_is_no_list_that_agrees() -> None:
    [best, *_] = await hits(Scripted({2: 9.0}))
    only_reranked = [by for by in best.found_by if by.query in ("dense(question)", "reranker")]
    assert not sure([Hit(best.passage, best.score, tuple(only_reranked), best.similarity)])


async def test_a_cross_encoder_orders_what_was_found(tmp_path: Path) -> None:
    reranker = CrossEncoderReranker(str(tiny_cross_encoder(tmp_path)))
    await reranker.warm()
    found = await hits(reranker)
    await reranker.close()
    ranks = [(by.rank, by.score) for hit in found for by in hit.found_by if by.query == "reranker"]
    assert [rank for rank, _ in ranks] == [1, 2, 3, 4]
    assert [score for _, score in ranks] == sorted((score for _, score in ranks), reverse=True)


async def test_a_model_that_gives_no_single_score_is_refused_by_name_of_the_setting(tmp_path: Path) -> None:
    reranker = CrossEncoderReranker(str(tiny_cross_encoder(tmp_path, labels=3)))
    with pytest.raises(IndexUnavailable, match=r"PROMPTAI_RERANKER.*3 numbers"):
        await reranker.scores(QUESTION, ["text"])
    await reranker.close()


async def test_a_model_that_is_missing_is_looked_for_once_and_does_not_stop_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    reranker = CrossEncoderReranker("no-such-model")
    await reranker.warm()
    monkeypatch.setattr("pipeline.retrieval.crossencoder.find", None)  # would fail if it were asked again
    with pytest.raises(IndexUnavailable, match=r"PROMPTAI_RERANKER.*cross-encoder/no-such-model"):
        await reranker.scores(QUESTION, ["text"])
    await reranker.close()
