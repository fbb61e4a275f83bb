"""From examples to rows and pairs, with the prompts exactly as they are served."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline import prompts
from pipeline.llm import Message
from pipeline.training.rows import Provenance, Row, Skill
from pipeline.training.synthesis.distractors import Distractors, context, spread
from pipeline.training.synthesis.drafts import DraftForm, Drafts
from pipeline.training.synthesis.examples import Example, Statement, share
from pipeline.training.synthesis.filters import Dropped
from pipeline.training.synthesis.pages import Corpus
from pipeline.training.synthesis.tokens import estimate

NO_ANSWER = "no-answer"
"""The kind of a row whose context lacks the right passage."""
_END = re.compile(r"(?P<mark>[.!?]?)\s*$")
_PROMPT_TOKENS = 130
"""Instructions and frame of an answer's prompt, estimated."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What rows are to look like."""

    skills: tuple[Skill, ...] = (Skill.DRAFT, Skill.ANSWER)
    draft_form: DraftForm = DraftForm.PROSE
    draft_tokens: int = 80
    """Estimated tokens of a draft, at most."""
    answer_rows: int = 1000
    """Rows of grounded answers, at most: they are five to ten times as long as drafts."""
    answer_passages: int = 3
    """Passages of a grounded answer's prompt, at most."""
    row_tokens: int = 1024
    """Estimated tokens of a row, prompt and completion together, at most."""
    absent: float = 0.2
    """Share of the questions whose context lacks the right passage."""
    best_first: bool = False
    """Nearer to what is served: another section of the right page is shown too, and the right passage first where the
    question's words find it."""
    small_model: bool = False
    """Prompts as the embedded model is asked."""
    held_out: float = 0.03
    """Share of the questions that are kept for the loss on unseen rows."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the passage that answers it, for the embedder."""

    question: str
    passage: str
    """As it is embedded: heading path and text."""
    passage_id: str
    document: str
    kind: str

    def line(self) -> str:
        """One line of JSON."""
        told = {name: getattr(self, name) for name in ("question", "passage", "passage_id", "document", "kind")}
        return json.dumps(told, ensure_ascii=False) + "\n"


@dataclass(frozen=True, slots=True)
class Made:
    """All that examples became."""

    train: tuple[Row, ...]
    held_out: tuple[Row, ...]
    """Rows of both skills whose question is in no row of `train`."""
    pairs: tuple[Pair, ...]


def make(corpus: Corpus, examples: Sequence[Example], shape: Shape, dropped: Dropped) -> Made:
    """Rows in an order that looks random and is the same each time."""
    rows: list[Row] = []
    if Skill.DRAFT in shape.skills:
        rows += _drafts(corpus, examples, shape)
    if Skill.ANSWER in shape.skills:
        rows += _answers(corpus, examples, shape, dropped)
    held = {example.question for example in examples if share("held-out", example.question) < shape.held_out}
    if len(held) == len({example.question for example in examples}):  # a handful of examples: all are needed
        held = set()
    asked = [_asked(row) for row in rows]
    order = sorted(range(len(rows)), key=lambda at: share("order", rows[at].skill, asked[at]))
    return Made(
        tuple(rows[at] for at in order if asked[at] not in held),
        tuple(rows[at] for at in order if asked[at] in held),
        tuple(_pairs(examples, held)),
    )


def prompt_versions() -> dict[str, str]:
    """Hashes of the served instructions that rows hold."""
    texts = {"draft": prompts.TRAINED_DRAFT, "answer": prompts.ANSWER, "answer_small": prompts.SMALL_MODEL_ANSWER}
    return {name: hashlib.sha256(text.encode()).hexdigest()[:12] for name, text in texts.items()}


def cited(statements: Sequence[Statement], numbers: Sequence[int]) -> str:
    """The answer with the number of its passage at the end of each statement.

    >>> cited([Statement("A key may make 180 requests.")], [2])
    'A key may make 180 requests [2].'
    """
    marked = [
        _END.sub(lambda end, number=numbers[each.source]: f" [{number}]{end['mark']}", each.text, count=1)  # type: ignore[misc]
        for each in statements
    ]
    return ("\n" if any(text.startswith("- ") for text in marked) else " ").join(marked)


def _drafts(corpus: Corpus, examples: Sequence[Example], shape: Shape) -> Iterator[Row]:
    writer = Drafts(shape.draft_form, shape.draft_tokens, corpus.vocabulary)
    for example in examples:
        messages = prompts.draft_messages(example.question, trained=True)
        yield _row(corpus, example, messages, writer.write(example), Skill.DRAFT, example.kind)


def _answers(corpus: Corpus, examples: Sequence[Example], shape: Shape, dropped: Dropped) -> Iterator[Row]:
    distractors = Distractors(corpus)
    answered = [example for example in examples if example.statements and len(example.gold) <= shape.answer_passages]
    for example in spread(answered, shape.answer_rows):
        room = shape.row_tokens - _PROMPT_TOKENS - estimate(example.question) - estimate(example.answer)
        found = context(
            example,
            distractors,
            passages=shape.answer_passages,
            tokens=room,
            absent=shape.absent,
            best_first=shape.best_first,
        )
        if found is None:
            dropped.add("row-tokens", example.question)
            continue
        messages = prompts.answer_messages(example.question, found.passages, small_model=shape.small_model)
        if found.numbers:
            text, kind = cited(example.statements, found.numbers), example.kind
        else:
            text, kind = prompts.NO_ANSWER, NO_ANSWER
        yield _row(corpus, example, messages, text, Skill.ANSWER, kind)


def _row(corpus: Corpus, example: Example, messages: Sequence[Message], text: str, skill: Skill, kind: str) -> Row:
    documents = list(dict.fromkeys(passage.document_id for passage in example.gold))
    return Row(
        tuple(messages),
        (Message("assistant", text),),
        skill,
        kind,
        Provenance(
            document=" ".join(documents),
            passages=tuple(passage.id for passage in example.gold) if kind != NO_ANSWER else (),
            version=" ".join(corpus.by_document[document].version for document in documents),
            generator=example.generator,
            prompt_version=example.prompt_version,
            scores=dict(example.scores),
        ),
    )


def _asked(row: Row) -> str:
    """The question itself: the last line of a grounded prompt."""
    return row.question.rpartition("\n\nQuestion: ")[2] if row.skill is Skill.ANSWER else row.question


def _pairs(examples: Sequence[Example], held: set[str]) -> Iterator[Pair]:
    """Of examples that one passage answers."""
    for example in examples:
        if len(example.gold) == 1 and example.question not in held:
            passage = example.gold[0]
            yield Pair(example.question, passage.embedded_text, passage.id, passage.document_id, example.kind)
