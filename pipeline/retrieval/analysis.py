"""From text to the terms that the keyword indexes hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache

import tantivy

MAX_TERMS = 512
"""Distinct terms of one query; the heaviest are kept, so that a page pasted as a question stays affordable."""

_LONGEST_TERM = 64


@cache
def analyzer() -> tantivy.TextAnalyzer:
    """Letters and digits, lower case, without accents, English stems: `Running map_batches` -> run, map, batch."""
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(_LONGEST_TERM))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .filter(tantivy.Filter.stemmer("English"))
        .build()
    )


def analyze(text: str) -> list[str]:
    """Terms in the order of the text. Any string is fine, lone surrogates included."""
    terms: list[str] = analyzer().analyze(text.encode("utf-8", "replace").decode())
    return terms


def weighted_terms(weighted_texts: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Term -> sum over the texts of weight x occurrences: BM25 is linear in the query's terms."""
    weights: defaultdict[str, float] = defaultdict(float)
    for text, weight in weighted_texts:
        if weight > 0:
            for term, count in Counter(analyze(text)).items():
                weights[term] += weight * count
    return dict(sorted(weights.items(), key=lambda item: -item[1])[:MAX_TERMS])
