"""Fusion of ranked lists."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.retrieval.fusion import (
    Lists,
    Ranking,
    draft_share,
    draft_trust,
    found_by,
    fuse,
    merge,
    support_by_page,
    weigh,
)
from pipeline.retrieval.protocols import Match
from pipeline.retrieval.weights import Weights


def ranking(query: str, *ids: str, weight: float = 1.0) -> Ranking:
    return Ranking(query, weight, [Match(passage_id, 1.0 - place / 10) for place, passage_id in enumerate(ids)])


def test_a_passage_in_two_lists_beats_the_first_of_one() -> None:
    fused = fuse([ranking("dense", "a", "b"), ranking("keyword", "c", "b")], smoothing=60)
    assert list(fused) == ["b", "a", "c"]
    assert fused["b"] == pytest.approx(2 / 62)


def test_a_passage_can_be_told_which_lists_found_it_where_and_with_what_weight() -> None:
    lists = [ranking("dense", "a", "b"), ranking("keyword", "b", weight=0.5), ranking("draft", "b", weight=0)]
    reasons = found_by(lists, {"b"})
    assert [(by.query, by.rank, by.score, by.weight) for by in reasons.pop("b")] == [
        ("dense", 2, 0.9, 1.0),
        ("keyword", 1, 1.0, 0.5),
    ]
    assert reasons == {}


def test_weights_decide_between_lists() -> None:
    lists = [ranking("dense", "a", weight=1.0), ranking("keyword", "b", weight=1.5)]
    assert list(fuse(lists, 60)) == ["b", "a"]


def test_a_list_without_weight_finds_nothing() -> None:
    assert fuse([ranking("dense", "a", weight=0)], 60) == {}


def test_equal_scores_keep_the_order_of_the_lists() -> None:
    fused = fuse([ranking("dense", "a"), ranking("keyword", "b")], 60)
    assert list(fused) == ["a", "b"]


def test_passages_of_a_page_with_several_hits_move_up() -> None:
    fused = {"alone": 1.0, "first": 0.9, "second": 0.7}
    pages = {"alone": "x", "first": "y", "second": "y"}
    supported = support_by_page(fused, pages, Weights(page_support=0.3, page_passages=3))
    assert list(supported) == ["first", "alone", "second"]
    assert supported["first"] == pytest.approx(0.9 + 0.3 * 1.6)


def test_a_long_page_is_supported_by_its_best_passages_only() -> None:
    fused = {str(i): 1.0 for i in range(10)}
    supported = support_by_page(fused, dict.fromkeys(fused, "page"), Weights(page_support=0.5, page_passages=2))
    assert set(supported.values()) == {2.0}


@pytest.mark.parametrize(("similarity", "trust"), [(-1, 0), (0.35, 0), (0.45, 0.5), (0.55, 1), (1, 1)])
def test_a_draft_is_trusted_by_its_similarity_to_the_question(similarity: float, trust: float) -> None:
    assert draft_trust(similarity, Weights(distrust=0.35, trust=0.55)) == pytest.approx(trust)


def test_a_gate_without_a_ramp_opens_at_once() -> None:
    gate = Weights(distrust=0.5, trust=0.5)
    assert [draft_trust(similarity, gate) for similarity in (0.5, 0.51)] == [0.0, 1.0]


def test_lists_of_several_tenants_merge_by_similarity() -> None:
    merged = merge([[Match("a", 0.9), Match("b", 0.1)], [Match("c", 0.5)]], 2)
    assert [match.passage_id for match in merged] == ["a", "c"]


def scores(*values: float) -> list[Match]:
    return [Match(f"p{place}", value) for place, value in enumerate(values)]


DECISIVE, VAGUE = scores(10, *[4.0] * 9), scores(*[10.0] * 10)
SETTINGS = Weights(least_share=0.4, most_share=0.8, vague=0.2, decisive=0.5, distrust=0.4, trust=0.6)


@pytest.mark.parametrize(
    ("keyword", "similarity", "share"),
    [
        (DECISIVE, 0.9, 0.8), (VAGUE, 0.9, 0.4), (scores(10, *[6.5] * 9), 0.9, 0.6), (DECISIVE, 0.5, 0.4),
        (DECISIVE, 0.4, 0), (scores(3, 3), 0.9, 0.8), ([], 0.9, 0.4),
    ],
)  # fmt: skip
def test_a_draft_takes_more_the_likelier_and_the_more_decisive_it_is(
    keyword: list[Match], similarity: float, share: float
) -> None:
    lists = Lists(scores(1), scores(1), scores(1), keyword, similarity)
    assert draft_share(lists, SETTINGS) == pytest.approx(share)


def test_what_the_draft_takes_the_question_gives() -> None:
    lists = Lists(scores(1), scores(1), scores(1), DECISIVE, 0.9)
    weights = {ranking.query: ranking.weight for ranking in weigh(lists, replace(SETTINGS, dense=2.0))}
    assert weights == pytest.approx(
        {"dense(question)": 0.4, "keyword(question)": 0.2, "dense(draft)": 1.6, "keyword(draft)": 0.8}
    )


def test_without_a_draft_the_question_has_all_weight() -> None:
    assert [ranking.weight for ranking in weigh(Lists(scores(1), scores(1)), SETTINGS)] == [1, 1, 0, 0]


def test_a_drafter_that_knows_how_likely_it_is_right_gets_that_share() -> None:
    """However far its words are from the question's: people ask in words that the documents do not use."""
    weights = Weights(doubted=0.2, believed=1.0)
    question, draft = [Match("a", 0.9)], [Match("b", 0.9)]
    far = Lists(question, question, draft, draft, similarity=0.05, trust=0.6)
    assert draft_share(far, weights) == pytest.approx(0.5)
    assert draft_share(replace(far, trust=0.2), weights) == 0
    assert draft_share(replace(far, trust=None), weights) == 0
