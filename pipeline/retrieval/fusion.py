"""Weighted reciprocal rank fusion of ranked lists. Pure functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.retrieval.protocols import Match
from pipeline.retrieval.weights import Weights
from pipeline.types import FoundBy


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


def support_by_page(
    candidates: Sequence[Candidate], pages: Mapping[str, str], share: float, passages: int
) -> list[Candidate]:
    """Add to each score `share` of its page's: the sum of the page's best `passages` scores.

    `pages`: passage id -> document id, of all candidates. `candidates` and result: best first.
    """
    scores: defaultdict[str, list[float]] = defaultdict(list)
    for candidate in candidates:
        scores[pages[candidate.passage_id]].append(candidate.score)
    support = {page: share * sum(best[:passages]) for page, best in scores.items()}
    return _best_first(
        replace(candidate, score=candidate.score + support[pages[candidate.passage_id]]) for candidate in candidates
    )


def draft_trust(similarity: float, weights: Weights) -> float:
    """How far to trust a draft, 0 to 1, by the cosine similarity of question and draft.

    A draft about something else pulls in passages about something else; measured, it costs more than a good one brings.
    """
    if weights.trust <= weights.distrust:
        return 1.0 if similarity > weights.distrust else 0.0
    return min(1.0, max(0.0, (similarity - weights.distrust) / (weights.trust - weights.distrust)))


def merge(lists: Sequence[Sequence[Match]], k: int) -> list[Match]:
    """Several tenants' lists for the same vector as one: cosine similarities are comparable."""
    return sorted((match for matches in lists for match in matches), key=lambda match: -match.score)[:k]


def _best_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    return sorted(candidates, key=lambda candidate: -candidate.score)
