"""How much each ranked list counts, and how far a draft is trusted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    """Measured by `benchmarks/retrieval.py`; see there for the table."""

    dense_question: float = 1.0
    """Weight of the list by the question's vector."""
    dense_draft: float = 1.0
    """Weight of the list by the mean of question's and draft's vectors, for a fully trusted draft."""
    keyword: float = 1.0
    """Weight of the keyword list."""
    question_terms: float = 3.0
    """How often the question counts in the keyword query."""
    draft_terms: float = 1.0
    """How often the draft counts in the keyword query, for a fully trusted draft."""
    smoothing: float = 60.0
    """The constant of reciprocal rank fusion, 60 in Cormack, Clarke and Büttcher 2009; smaller favours the first ranks."""
    distrust: float = 0.3
    """A draft whose cosine similarity with the question is at most this is ignored."""
    trust: float = 0.6
    """From this similarity on a draft has its full weight; between the two it grows linearly."""
