"""Weighted reciprocal rank fusion of ranked lists. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter

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
    """A passage that at least one list holds."""

    passage_id: str
    score: float
    """Sum over the lists of weight / (smoothing + rank)."""
    found_by: tuple[FoundBy, ...]


def fuse(rankings: Sequence[Ranking], smoothing: float) -> list[Candidate]:
    """All passages of all lists, best first; equal scores keep the order of the lists."""
    found: dict[str, list[FoundBy]] = {}
    for ranking in rankings:
        if ranking.weight > 0:
            for rank, match in enumerate(ranking.matches, start=1):
                entry = FoundBy(ranking.query, rank, match.score, ranking.weight)
                found.setdefault(match.passage_id, []).append(entry)
    candidates = (
        Candidate(passage_id, sum(entry.weight / (smoothing + entry.rank) for entry in entries), tuple(entries))
        for passage_id, entries in found.items()
    )
    return _best_first(candidates)


def support_by_page(candidates: Sequence[Candidate], pages: Mapping[str, str], weights: Weights) -> list[Candidate]:
    """Add to each score `page_support` of its page's: the sum of the page's best `page_passages` scores.

    `pages`: passage id -> document id, of all candidates. `candidates` and result: best first.
    """
    scores: defaultdict[str, list[float]] = defaultdict(list)
    for candidate in candidates:
        scores[pages[candidate.passage_id]].append(candidate.score)
    support = {page: weights.page_support * sum(best[: weights.page_passages]) for page, best in scores.items()}
    return _best_first(
        Candidate(each.passage_id, each.score + support[pages[each.passage_id]], each.found_by) for each in candidates
    )


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


def _best_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=attrgetter("score"), reverse=True)  # stable: equals keep their order
