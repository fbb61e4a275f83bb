"""How much each ranked list counts, and how far a draft is trusted."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.confidence import BELIEVED, DOUBTED


@dataclass(frozen=True, slots=True)
class Weights:
    """The defaults were chosen with `benchmarks/retrieval.py`, for all-MiniLM-L6-v2."""

    dense: float = 1.0
    """Of the lists by vectors: the question's and the draft's together."""
    keyword: float = 1.0
    """Of the lists by keywords: the question's and the draft's together."""
    smoothing: float = 30.0
    """The constant of reciprocal rank fusion (60 in Cormack, Clarke and Büttcher 2009); smaller favours first ranks."""
    page_support: float = 0.3
    """Share of its page's score that a passage gets on top of its own: a page with several hits is likelier the one."""
    page_passages: int = 3
    """How many of a page's best passages make up the page's score."""
    distrust: float = 0.4
    """A draft whose cosine similarity with the question is at most this is ignored: it is about something else.

    Like `trust` it depends on the embedder; where all its similarities are high, every draft is trusted.
    """
    trust: float = 0.6
    """From this similarity on a draft has its whole share; between the two it grows linearly."""
    doubted: float = DOUBTED
    """Where the drafter knows how likely its draft is right: up to here it is ignored."""
    believed: float = 1.0
    """From here on it has the whole weight."""
    named: float = BELIEVED
    """From here on a page whose title the draft begins with comes first, if it is among the candidates at all."""
    least_share: float = 0.4
    """What a trusted draft takes of the question's weight where its keywords fit many passages alike."""
    most_share: float = 1.0
    """What it takes where its keywords single a passage out: it says what the documents say."""
    vague: float = 0.2
    """A drop of the keyword score from the draft's first passage to its tenth, as a share of the first, that singles
    nothing out. Such drops predict how well a query does (Shtok et al. 2012, Cummins et al. 2011)."""
    decisive: float = 0.5
    """From this drop on the draft takes its greatest share; between the two it grows linearly."""
