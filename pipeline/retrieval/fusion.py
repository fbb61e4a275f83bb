"""Weighted reciprocal rank fusion of ranked lists. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter, itemgetter

from pipeline.retrieval.protocols import Match
from pipeline.retrieval.weights import Weights
from pipeline.types import DENSE_DRAFT, FoundBy

DENSE_QUESTION = "dense(question)"
KEYWORD_QUESTION = "keyword(question)"
KEYWORD_DRAFT = "keyword(draft)"

_TENTH = 10


@dataclass(frozen=True, slots=True)
class Lists:
    """What the indexes answered: four lists, best first."""

    dense_question: Sequence[Match]
    keyword_question: Sequence[Match]
    dense_draft: Sequence[Match] = ()
    keyword_draft: Sequence[Match] = ()
    similarity: float = -1.0
    """Cosine similarity of question and draft; -1 without a draft."""
    trust: float | None = None
    """How likely the draft is right, 0 to 1, where its drafter can tell."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """One list and how much it counts."""

    query: str
    """What it answers: `dense(question)`, for example."""
    weight: float
    """>= 0; a list of weight 0 finds nothing."""
    matches: Sequence[Match]
    """Best first."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that at least one list holds, and how well it did."""

    passage_id: str
    score: float
    """Sum over the lists of weight / (smoothing + rank), with what its page adds."""
    besides: tuple[FoundBy, ...] = ()
    """What else has ordered it, after the lists: a reranker."""


def fuse(rankings: Sequence[Ranking], smoothing: float) -> dict[str, float]:
    """Passage id -> sum over the lists of weight / (smoothing + rank).

    All passages of all lists, best first; equal scores keep the order of the lists.
    """
    scores: dict[str, float] = {}
    for ranking in rankings:
        if ranking.weight > 0:
            for place, match in enumerate(ranking.matches, start=1):
                share = ranking.weight / (smoothing + place)
                scores[match.passage_id] = scores.get(match.passage_id, 0.0) + share
    return _best_first(scores)


def found_by(rankings: Sequence[Ranking], passage_ids: Container[str]) -> dict[str, tuple[FoundBy, ...]]:
    """Which lists hold these passages, and where: told of the few that are shown, since hundreds are found."""
    found: dict[str, tuple[FoundBy, ...]] = {}
    for ranking in rankings:
        if ranking.weight > 0:
            for rank, match in enumerate(ranking.matches, start=1):
                if match.passage_id in passage_ids:
                    entry = FoundBy(ranking.query, rank, match.score, ranking.weight)
                    found[match.passage_id] = (*found.get(match.passage_id, ()), entry)
    return found


def support_by_page(scores: Mapping[str, float], pages: Mapping[str, str], weights: Weights) -> dict[str, float]:
    """Add to each score `page_support` of its page's: the sum of the page's best `page_passages` scores.

    `pages`: passage id -> document id, of all of them. `scores` (by passage id) and result: best first.
    """
    of_page: defaultdict[str, list[float]] = defaultdict(list)
    for passage_id, score in scores.items():
        of_page[pages[passage_id]].append(score)
    support = {page: weights.page_support * sum(best[: weights.page_passages]) for page, best in of_page.items()}
    return _best_first({passage_id: score + support[pages[passage_id]] for passage_id, score in scores.items()})


def weigh(lists: Lists, weights: Weights) -> tuple[Ranking, ...]:
    """The lists with their weights: what the draft takes, the question gives."""
    share = draft_share(lists, weights)
    return (
        Ranking(DENSE_QUESTION, weights.dense * (1 - share), lists.dense_question),
        Ranking(KEYWORD_QUESTION, weights.keyword * (1 - share), lists.keyword_question),
        Ranking(DENSE_DRAFT, weights.dense * share, lists.dense_draft),
        Ranking(KEYWORD_DRAFT, weights.keyword * share, lists.keyword_draft),
    )


def draft_share(lists: Lists, weights: Weights) -> float:
    """What the draft takes of the weight, 0 to 1: by how far it is trusted, and by how decisive it is.

    A drafter that knows how likely it is right gets that much: whether its words fit one passage or many says no more then.
    """
    trust = draft_trust(lists.similarity, weights, lists.trust)
    if lists.trust is not None:
        return trust
    drop = _drop(lists.keyword_draft)
    decided = _ramp(drop, weights.vague, weights.decisive)
    share = weights.least_share + (weights.most_share - weights.least_share) * decided
    return trust * share


def draft_trust(similarity: float, weights: Weights, right: float | None = None) -> float:
    """How far to trust a draft, 0 to 1: by how likely it is right, or else by its cosine similarity to the question.

    A draft about something else pulls in passages about something else; measured, it costs more than a good one brings.
    Similarity alone is a poor judge where people ask in words that the documents do not use: a right draft is then as
    far from the question as a wrong one.
    """
    if right is not None:
        return _ramp(right, weights.doubted, weights.believed)
    return _ramp(similarity, weights.distrust, weights.trust)


def _drop(matches: Sequence[Match]) -> float:
    """From the first score to the tenth, as a share of the first; 1 where there is no tenth."""
    if len(matches) < _TENTH:
        return 1.0 if matches else 0.0
    return (matches[0].score - matches[_TENTH - 1].score) / matches[0].score


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, linear between."""
    if high <= low:
        return 1.0 if value > low else 0.0
    return min(1.0, max(0.0, (value - low) / (high - low)))


def merge(lists: Sequence[Sequence[Match]], k: int) -> list[Match]:
    """Several tenants' lists for the same vector as one: cosine similarities are comparable."""
    return sorted(chain.from_iterable(lists), key=attrgetter("score"), reverse=True)[:k]


def _best_first(scores: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(scores.items(), key=itemgetter(1), reverse=True))  # stable: equals keep their order
