"""Terms of a corpus and how telling each is."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from pipeline.retrieval.analysis import analyze, content_terms
from pipeline.training.synthesis.markdown import plain
from pipeline.types import Passage

_WORD = re.compile(r"[^\W\d_][\w.-]*\w|[^\W\d_]")
_COMMON = 0.2
"""A term in more than this share of the passages tells nothing."""
_FEW = 3
"""A term in so few passages is telling however small the corpus."""


@lru_cache(maxsize=50_000)
def terms(text: str) -> frozenset[str]:
    """Stems of the content words of `text`."""
    return frozenset(content_terms(text))


class Vocabulary:
    """Document frequencies over passages; heading path and text count alike."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = len(passages)
        self._frequency = Counter(term for passage in passages for term in terms(passage.embedded_text))

    def __contains__(self, term: str) -> bool:
        """Whether the documents have the term."""
        return term in self._frequency

    def weight(self, term: str) -> float:
        """Inverse document frequency as BM25 has it (Robertson & Zaragoza 2009), > 0."""
        frequency = self._frequency[term]
        return math.log(1 + (self._passages - frequency + 0.5) / (frequency + 0.5))

    def telling(self, text: str) -> bool:
        """Whether any term of `text` occurs in the documents, and not all over them."""
        most = max(_FEW, self._passages * _COMMON)
        return any(0 < self._frequency[term] <= most for term in terms(text))

    def overlap(self, asked: Iterable[str], text: str) -> float:
        """Sum of the weights of the terms of `asked` that `text` has."""
        return sum(self.weight(term) for term in sorted(set(asked) & terms(text)))

    def characteristic(self, passage: Passage, count: int) -> tuple[str, ...]:
        """At most `count` words of the passage's text that set it apart, in their order; none of its headings'."""
        known = set(analyze(" ".join(passage.heading_path)))
        spelled: dict[str, str] = {}
        times: Counter[str] = Counter()
        for word in _WORD.findall(plain(passage.text)):
            for stem in content_terms(word)[:1]:
                spelled.setdefault(stem, word)
                times[stem] += 1
        ranked = sorted(
            (stem for stem in spelled if stem not in known and len(stem) > 2),
            key=lambda stem: (-self.weight(stem) * (1 + math.log(times[stem])), stem),
        )
        chosen = set(ranked[:count])
        return tuple(word for stem, word in spelled.items() if stem in chosen)
