"""What an example must pass to become rows. Each filter gives a score from 0 to 1 and passes from a threshold on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.evaluation.details import unsupported
from pipeline.training.synthesis.examples import GROUNDED, RULE, SEED, Example
from pipeline.training.synthesis.languages import language
from pipeline.training.synthesis.markdown import running
from pipeline.training.synthesis.near import HeldOut, NearDuplicates
from pipeline.training.synthesis.pages import Corpus
from pipeline.training.synthesis.tokens import estimate
from pipeline.training.synthesis.vocabulary import Vocabulary, terms
from pipeline.types import Passage

FAITHFUL = 0.6
"""Least share of an answer's content words that its passages hold; all of its numbers and names must be there."""
DUPLICATE = 0.5
"""Similarity of two questions with the same words of the documentation from which the second is dropped (`NearDuplicates`)."""
LEAK = 0.75
"""Similarity to a held-out question from which a question is dropped (`HeldOut.similarity`)."""
QUESTION_TOKENS = 96
ANSWER_TOKENS = 320
"""Estimated tokens of a question and an answer, at most."""
_SHOWN = 3
"""Examples of what a filter dropped that the report shows."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition."""

    name: str
    score: Callable[[Example], float]
    least: float


@dataclass
class Dropped:
    """What did not pass, by filter."""

    counts: Counter[str] = field(default_factory=Counter)
    shown: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Filter -> the first few questions that it dropped."""

    def add(self, name: str, text: str) -> None:
        """Count one."""
        self.counts[name] += 1
        if len(self.shown[name]) < _SHOWN:
            self.shown[name].append(" ".join(text.split())[:200])


def faithful(example: Example) -> float:
    """0 if a number, identifier or name of the answer is in none of its passages; else the share of its words that are."""
    sources = "\n".join(f"{passage.embedded_text}\n{running(passage.text)}" for passage in example.gold)
    if unsupported(example.answer, sources)[0]:
        return 0.0
    said = terms(example.answer)
    return len(said & terms(sources)) / len(said) if said else 1.0


def specific(example: Example, vocabulary: Vocabulary) -> float:
    """0 if the question could be asked of any page ("What is this?"), or of none; else what it shares with its passages.

    A seed may be in words that the documentation does not use: that is what it is for.
    """
    asked = terms(example.question)
    if example.generator == SEED or example.kind == GROUNDED:
        return float(bool(asked))
    if not asked or not (example.generator == RULE or vocabulary.telling(example.question)):
        return 0.0  # a rule names its page, which may be called by a common word
    return len(asked & terms("\n".join(passage.embedded_text for passage in example.gold))) / len(asked)


def short(example: Example) -> float:
    """1 if question and answer have a sensible length; else 0."""
    words = example.question.split()
    return float(
        bool(words)
        and any(character.isalnum() for character in example.question)
        and estimate(example.question) <= QUESTION_TOKENS
        and estimate(example.answer) <= ANSWER_TOKENS
    )


def same_language(example: Example, languages: Mapping[str, str]) -> float:
    """0 if question or answer are in another language than the document; 1 where they are not, or nobody can tell.

    `languages`: of each document.
    """
    spoken = languages[example.gold[0].document_id]
    told = {language(example.question), language(example.answer)} - {""}
    return float(not spoken or told <= {spoken})


def filters_of(corpus: Corpus, held_out: HeldOut) -> tuple[Filter, ...]:
    """All but the one for near-duplicates, which looks at all examples; cheap and decisive ones first."""
    return (
        Filter("length", short, 1.0),
        Filter("leak", lambda example: 1.0 - held_out.similarity(example.question), 1.0 - LEAK + 1e-9),
        Filter("specific", lambda example: specific(example, corpus.vocabulary), 1e-9),
        Filter("language", lambda example: same_language(example, corpus.languages), 1.0),
        Filter("faithful", faithful, FAITHFUL),
    )


def passed(examples: Iterable[Example], filters: Sequence[Filter], dropped: Dropped) -> list[Example]:
    """The examples that pass all filters, with their scores."""
    kept = []
    for example in examples:
        scores = dict(example.scores)
        for each in filters:
            scores[each.name] = round(each.score(example), 3)
            if scores[each.name] < each.least:
                if each.name == "faithful" and example.generator in (RULE, SEED):
                    # taken from the passage, and garbled on the way: the question is sound, its answer is not told
                    kept.append(replace(example, statements=(), scores={**scores, each.name: 1.0}))
                    break
                dropped.add(each.name, example.question)
                break
        else:
            kept.append(replace(example, scores=scores))
    return kept


def passes(example: Example, filters: Sequence[Filter]) -> bool:
    """Whether the example passes all of them."""
    return all(each.score(example) >= each.least for each in filters)


def without_duplicates(examples: Sequence[Example], vocabulary: Vocabulary, dropped: Dropped) -> list[Example]:
    """Of questions that are nearly the same one: a seed that a model answered, a seed, a generated one, a rule's."""
    index = NearDuplicates(vocabulary, DUPLICATE)
    kept = []
    for example in sorted(examples, key=_preference):
        if index.add(example.question):
            dropped.add("near-duplicate", example.question)
        else:
            kept.append(example)
    return kept


def _preference(example: Example) -> int:
    if example.kind == GROUNDED:
        return 0
    return {SEED: 1, RULE: 3}.get(example.generator, 2)


def holds_answer(passage: Passage, answer: str) -> float:
    """Share of the answer's content words that the passage has."""
    said = terms(answer)
    return len(said & terms(passage.embedded_text)) / len(said) if said else 0.0


def nearest(sentence: str, gold: Sequence[Passage]) -> int:
    """Which passage (0-based) holds most of the sentence's words; of equal ones the first."""
    return max(range(len(gold)), key=lambda at: (holds_answer(gold[at], sentence), -at))
