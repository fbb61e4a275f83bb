"""From text to the terms that the keyword indexes hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache

import tantivy

from pipeline.types import Passage

FIELDS = {"text": 1.0, "headings": 0.3, "title": 0.3}
"""The fields of a passage and how much a term counts in each. A word in a heading says what the passage is about;
each field has its own lengths and rarities (chosen with `benchmarks/retrieval.py`)."""

MAX_TERMS = 512
"""Distinct terms of one query; the heaviest are kept, so that a page pasted as a question stays affordable."""

_LONGEST_TERM = 64

_FUNCTION_WORDS = (
    "a about am an and any are as at be been being but by can could did do does doing for from had has have how i if in "
    "into is it its just me might more must my no not of on or our shall should so some such than that the their them "
    "then there these they this those to too used use using very was we were what when where which who why will with "
    "would you your"
)


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


def field_texts(passage: Passage) -> dict[str, str]:
    """What each of `FIELDS` holds of a passage. Any text is fine, lone surrogates included."""
    below = passage.heading_path[1:] if passage.heading_path[:1] == (passage.title,) else passage.heading_path
    texts = {"text": passage.text, "headings": "\n".join(below), "title": passage.title}
    return {field: text.encode("utf-8", "replace").decode() for field, text in texts.items()}


@cache
def _function_terms() -> frozenset[str]:
    return frozenset(analyze(_FUNCTION_WORDS))


def content_terms(text: str) -> list[str]:
    """The terms of `text` without function words, in its order; may be empty."""
    return [term for term in analyze(text) if term not in _function_terms()]


def weighted_terms(weighted_texts: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Term -> sum over the texts of weight x occurrences: BM25 is linear in the query's terms.

    Function words only count where there is nothing else: in a corpus of instructions "how" and "do" are rare enough
    to outweigh what is asked.
    """
    weights: defaultdict[str, float] = defaultdict(float)
    for text, weight in weighted_texts:
        if weight > 0:
            for term, count in Counter(analyze(text)).items():
                weights[term] += weight * count
    telling = {term: weight for term, weight in weights.items() if term not in _function_terms()} or weights
    return dict(sorted(telling.items(), key=lambda item: -item[1])[:MAX_TERMS])
