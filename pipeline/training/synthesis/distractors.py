"""Contexts of grounded answers: the passages that answer among others that nearly do.

RAFT (Zhang et al. 2024, "RAFT: Adapting Language Model to Domain Specific RAG"): a model trained with distractors learns
to answer from the right passage, and, where the right one is missing in a share of the rows, to say so.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pipeline.retrieval.analysis import content_terms
from pipeline.training.synthesis.examples import Example, share
from pipeline.training.synthesis.filters import holds_answer
from pipeline.training.synthesis.pages import Corpus
from pipeline.training.synthesis.tokens import estimate
from pipeline.training.synthesis.vocabulary import terms
from pipeline.types import Passage

_COMMON = 0.2
"""Terms of more than this share of the passages are not looked up."""
_SATURATION = 1.2
"""BM25's k1."""
_ALSO_ANSWERS = 0.8
"""A passage that holds so much of the answer's words is no wrong passage."""


@dataclass(frozen=True, slots=True)
class Context:
    """The numbered passages of a row."""

    passages: tuple[Passage, ...]
    numbers: tuple[int, ...]
    """The 1-based number of each of the example's passages; empty if these were left out."""


class Distractors:
    """Finds hard wrong passages: those of other pages that share the most telling words with the question."""

    def __init__(self, corpus: Corpus) -> None:
        self._passages = corpus.passages
        self._at = {passage.id: at for at, passage in enumerate(corpus.passages)}
        most = max(3, len(self._passages) * _COMMON)
        postings: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for at, passage in enumerate(self._passages):
            for term, times in Counter(content_terms(passage.embedded_text)).items():
                postings[term].append((at, times * (_SATURATION + 1) / (times + _SATURATION)))
        self._postings = {
            term: (
                np.array([at for at, _ in found]),
                np.array([weight for _, weight in found]) * math.log(1 + len(self._passages) / len(found)),
            )
            for term, found in postings.items()
            if len(found) <= most
        }

    def near(self, question: str, count: int, *, without: Collection[str]) -> list[Passage]:
        """The best `count` passages of documents other than `without`."""
        return list(islice((found for found in self._ranked(question) if found.document_id not in without), count))

    def beside(self, question: str, gold: Sequence[Passage]) -> list[Passage]:
        """The other passages of the right ones' documents, best first."""
        own = {passage.document_id for passage in gold}
        return [found for found in self._ranked(question) if found.document_id in own and found not in gold]

    def best_first(self, question: str, passages: Sequence[Passage]) -> list[Passage]:
        """The passages as a search by the question's words would rank them."""
        scores = self._scores(question)
        return sorted(passages, key=lambda passage: -scores[self._at[passage.id]])

    def _ranked(self, question: str) -> Iterator[Passage]:
        return (self._passages[at] for at in np.argsort(-self._scores(question), kind="stable"))

    def _scores(self, question: str) -> NDArray[np.float64]:
        """[passages] What each has in common with the question."""
        scores: NDArray[np.float64] = np.zeros(len(self._passages))
        for term in sorted(terms(question)):
            if found := self._postings.get(term):
                scores[found[0]] += found[1]
        return scores


def context(
    example: Example, distractors: Distractors, *, passages: int, tokens: int, absent: float, best_first: bool = False
) -> Context | None:
    """The row's passages, the right ones left out in the share `absent` of all questions.

    `tokens`: estimated, of all passages together. `best_first`: as they are served, with another section of the right page
    among them, and in the order of a search where its first one is right; otherwise in an order of the row's own. None
    where the right passages alone do not fit.
    """
    left_out = share("absent", example.question) < absent
    gold = () if left_out else example.gold
    if len(gold) > passages or sum(map(_tokens, gold)) > tokens:
        return None
    own = {passage.document_id for passage in example.gold}
    wrong = distractors.near(example.question, 2 * passages, without=own)
    if best_first and gold:  # another section of the right page is what most often is served beside the right one
        wrong = [*distractors.beside(example.question, gold)[:1], *wrong]
    wrong = [passage for passage in wrong if holds_answer(passage, example.answer) < _ALSO_ANSWERS]
    chosen = list(gold)
    room = tokens - sum(map(_tokens, gold))
    for passage in wrong:
        if len(chosen) < passages and _tokens(passage) <= room:
            chosen.append(passage)
            room -= _tokens(passage)
    ordered = sorted(chosen, key=lambda passage: share(example.question, passage.id))
    if best_first and (ranked := distractors.best_first(example.question, ordered)) and ranked[0] in gold:
        ordered = ranked  # elsewhere the wrong ones, chosen by the same words, would always stand before the right one
    return Context(tuple(ordered), tuple(ordered.index(passage) + 1 for passage in gold)) if ordered else None


def _tokens(passage: Passage) -> int:
    return estimate(passage.embedded_text) + 8 + passage.text.count("\n")  # its number and the marks of quotation


def spread(examples: Sequence[Example], count: int) -> list[Example]:
    """At most `count` examples, each kind in turn, the same ones each time."""
    kinds: defaultdict[str, list[Example]] = defaultdict(list)
    for example in sorted(examples, key=lambda example: share("spread", example.question)):
        kinds[example.kind].append(example)
    longest = max(map(len, kinds.values()), default=0)
    in_turn = [kinds[kind][at] for at in range(longest) for kind in sorted(kinds) if at < len(kinds[kind])]
    chosen = {id(example) for example in in_turn[:count]}
    return [example for example in examples if id(example) in chosen]
