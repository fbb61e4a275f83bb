"""How much each ranked list counts, and how far a draft is trusted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    """The defaults were chosen with `benchmarks/retrieval.py`, for all-MiniLM-L6-v2."""

    dense_question: float = 1.0
    """Weight of the list by the question's vector. It gives way to the next one as far as the draft is trusted."""
    dense_draft: float = 1.0
    """Weight of the list by the mean of question's and draft's vectors, for a fully trusted draft."""
    keyword: float = 1.0
    """Weight of the keyword list."""
    question_terms: float = 3.0
    """How often the question counts in the keyword query."""
    draft_terms: float = 1.0
    """How often the draft counts in the keyword query, for a fully trusted draft."""
    smoothing: float = 30.0
    """The constant of reciprocal rank fusion (60 in Cormack, Clarke and Büttcher 2009); smaller favours first ranks."""
    page_support: float = 0.3
    """Share of its page's score that a passage gets on top of its own: a page with several hits is likelier the one."""
    page_passages: int = 3
    """How many of a page's best passages make up the page's score."""
    distrust: float = 0.35
    """A draft whose cosine similarity with the question is at most this is ignored: it is about something else.

    Like `trust` it depends on the embedder; where all its similarities are high, every draft is trusted.
    """
    trust: float = 0.55
    """From this similarity on a draft has its full weight; between the two it grows linearly."""
