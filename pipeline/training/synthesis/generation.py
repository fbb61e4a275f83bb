"""What a language model adds to the rules: questions of several kinds, other words, notes that join pages, answers.

Two rounds: what is asked about passages, then other wordings of the questions: those that came of it, seeds, and rules'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pipeline.training.synthesis import prompts
from pipeline.training.synthesis.asking import Asker, Question
from pipeline.training.synthesis.costs import Forecast
from pipeline.training.synthesis.distractors import Distractors
from pipeline.training.synthesis.examples import GROUNDED, RULE, SEED, Example, Statement, ordered
from pipeline.training.synthesis.filters import nearest
from pipeline.training.synthesis.kinds import kinds_for, together
from pipeline.training.synthesis.markdown import sentences
from pipeline.training.synthesis.pages import Corpus
from pipeline.training.synthesis.rules.phrasing import section, subject
from pipeline.types import Passage

_REPHRASABLE = frozenset({"definition", "heading", "table", "list", "glossary", "global", "comparison"})
"""Kinds of rules' questions that a person might ask, in other words."""
_PAIR_TOKENS = 110
"""Tokens of a question with its answer."""
_TEXT_TOKENS = 260
_REPHRASED = 32
"""Tokens of another wording."""
_REPHRASE_PROMPT = 130
"""Tokens of the prompt for other wordings, roughly."""


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is asked for."""

    questions: int = 3
    """Of one kind, of one passage."""
    rephrasings: int = 3
    """Of one question."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A question to the model, and what becomes of its text."""

    question: Question
    read: Callable[[str], list[Example]]


class Generator:
    """Writes examples with a model."""

    def __init__(
        self, corpus: Corpus, asker: Asker, amount: Amount, worth: Callable[[Example], bool] = lambda _: True
    ) -> None:
        """`worth`: whether an example is good enough to be asked in other words, which costs a call."""
        self._corpus = corpus
        self._asker = asker
        self._amount = amount
        self._worth = worth
        self._distractors = Distractors(corpus)

    def forecast(self, given: Sequence[Example]) -> Forecast:
        """What a run will use, at most: rephrasings of every question that may come of the first round."""
        seeds = [example for example in given if example.generator == SEED]
        first = [call.question for call in (*self._answers(seeds), *self._about_passages())]
        told = self._asker.forecast(first)
        known = len(seeds) + len(_one_each(given))
        pairs = sum(
            max(1, question.max_tokens // _PAIR_TOKENS) for question in first if question.max_tokens != _TEXT_TOKENS
        )
        rest = self._asker.remaining(told, (known + pairs) * bool(self._amount.rephrasings))
        return told + Forecast(rest, rest * _REPHRASE_PROMPT, rest * _REPHRASED * self._amount.rephrasings)

    async def write(self, given: Sequence[Example]) -> list[Example]:
        """New examples. `given`: those that exist already; seeds are answered, they and rules' questions asked in other words.

        Raises `ModelError` where the server is gone, `TrainingError` on a full disk; the journal keeps the rest.
        """
        seeds = [example for example in given if example.generator == SEED]
        answered = await self._run(self._answers(seeds))
        new = await self._run(self._about_passages())
        return [
            *answered,
            *new,
            *await self._run(self._rephrasings([*seeds, *filter(self._worth, new), *_one_each(given)])),
        ]

    async def _run(self, calls: Iterable[_Call]) -> list[Example]:
        asked = list(calls)
        texts = await self._asker.ask([call.question for call in asked])
        found: list[Example] = []
        for call, text in zip(asked, texts, strict=True):
            if text is not None:
                read = call.read(text)
                self._asker.usage.troubles["unreadable"] += not read
                found += read
        return found

    def _about_passages(self) -> Iterator[_Call]:
        """In an order that goes over the whole corpus first, so that a run with a limit is a sample of all."""
        passages = {passage.id: passage for passage in self._corpus.passages}
        for passage_id in ordered(passages, "passages"):
            passage = passages[passage_id]
            for kind in kinds_for(passage):
                yield self._pairs(kind, [passage])
            yield self._rewriting(passage)
        yield from self._across()

    def _across(self) -> Iterator[_Call]:
        """Two pages that speak of the same, and pages of a folder with the same heading."""
        seen: set[frozenset[str]] = set()
        for page in self._corpus.pages:
            first = page.passages[0]
            about = " ".join([*first.heading_path, *self._corpus.vocabulary.characteristic(first, 8)])
            for second in self._distractors.near(about, 1, without={page.id}):
                both = frozenset((page.id, second.document_id))
                if both not in seen:
                    seen.add(both)
                    yield self._note(first, second)
                    yield self._pairs("comparison", [first, second])
        for group in together(self._corpus):
            yield self._pairs("global", group)

    def _pairs(self, kind: str, gold: Sequence[Passage]) -> _Call:
        count = self._amount.questions if len(gold) == 1 else max(1, self._amount.questions // 2)
        prompt = prompts.pairs(kind, gold, count)

        def read(text: str) -> list[Example]:
            return [
                self._example(question, kind, gold, answer, prompt.version)
                for question, answer in prompts.read_pairs(text)[:count]
            ]

        return _Call(Question(prompt, count * _PAIR_TOKENS), read)

    def _rewriting(self, passage: Passage) -> _Call:
        prompt = prompts.rewrite(passage)
        part, page = section(passage), subject(passage)
        topic = f"{part} in {page}" if part else page

        def read(text: str) -> list[Example]:
            told = prompts.read_text(text)
            asked = f"In other words, what does the documentation say about {topic}?"
            return [self._example(asked, "paraphrase", [passage], told, prompt.version)] if told else []

        return _Call(Question(prompt, _TEXT_TOKENS), read)

    def _note(self, first: Passage, second: Passage) -> _Call:
        prompt = prompts.join(first, second)

        def read(text: str) -> list[Example]:
            told = prompts.read_text(text)
            asked = f"How are {subject(first)} and {subject(second)} connected?"
            return [self._example(asked, "note", [first, second], told, prompt.version)] if told else []

        return _Call(Question(prompt, _TEXT_TOKENS), read)

    def _answers(self, seeds: Sequence[Example]) -> Iterator[_Call]:
        """Of seeds no answer is given: the passages say it."""
        for seed in seeds:
            prompt = prompts.grounded(seed.question, seed.gold)

            def read(text: str, seed: Example = seed, version: str = prompt.version) -> list[Example]:
                told = prompts.read_text(re.sub(r"\s*\[\d+(?:\s*,\s*\d+)*\]", "", text))
                return [self._example(seed.question, GROUNDED, seed.gold, told, version)] if told else []

            yield _Call(Question(prompt, _TEXT_TOKENS, temperature=0.0), read)

    def _rephrasings(self, examples: Sequence[Example]) -> Iterator[_Call]:
        for example in examples if self._amount.rephrasings else ():
            if example.kind in ("paraphrase", "note"):
                continue  # their questions are ours, not the model's
            prompt = prompts.rephrase(example.question, self._amount.rephrasings)

            def read(text: str, example: Example = example, version: str = prompt.version) -> list[Example]:
                return [
                    replace(
                        example,
                        question=line,
                        kind="rephrased",
                        generator=self._asker.model.name,
                        prompt_version=version,
                    )
                    for line in prompts.read_lines(text, self._amount.rephrasings)
                ]

            yield _Call(Question(prompt, _REPHRASED * self._amount.rephrasings), read)

    def _example(self, question: str, kind: str, gold: Sequence[Passage], answer: str, version: str) -> Example:
        told = tuple(Statement(sentence, nearest(sentence, gold)) for sentence in sentences(answer))
        return Example(" ".join(question.split()), kind, tuple(gold), told, self._asker.model.name, version)


def _one_each(given: Sequence[Example]) -> list[Example]:
    """Of the rules' questions one of each that has an answer of its own: the others are its wordings already."""
    asked = (example for example in given if example.generator == RULE and example.kind in _REPHRASABLE)
    return list({(example.kind, example.gold[0].id, example.answer): example for example in asked}.values())
