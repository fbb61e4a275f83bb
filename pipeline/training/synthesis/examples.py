"""An example: what is asked, what is answered, and from where. Rows of both skills are made from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.training.synthesis.tokens import estimate
from pipeline.types import Passage

RULE = "rule"
SEED = "seed"
STATED = 240
"""Estimated tokens of an answer that is taken from a passage, at most."""
GROUNDED = "grounded"
"""The kind of a seed that a model answered from its passages."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Part of an answer."""

    text: str
    source: int = 0
    """Which of the example's passages says it (0-based)."""


@dataclass(frozen=True, slots=True)
class Example:
    """A question with its answer."""

    question: str
    kind: str
    """`heading`, `passage`, `table`, …"""
    gold: tuple[Passage, ...]
    """The passages that answer it, the best one first."""
    statements: tuple[Statement, ...]
    """The answer, without citation markers; empty where no part of the passages is known to answer."""
    generator: str = RULE
    prompt_version: str = ""
    """Hash of the prompt that wrote it; empty for rules and seeds."""
    scores: dict[str, float] = field(default_factory=dict)
    """Filter -> score."""

    @property
    def answer(self) -> str:
        """The answer's text."""
        return " ".join(statement.text for statement in self.statements)


def fitting(statements: Sequence[Statement], tokens: int = STATED) -> tuple[Statement, ...]:
    """The first statements that have at most so many tokens together (estimated); none where the first is too long."""
    kept: list[Statement] = []
    for statement in statements:
        tokens -= estimate(statement.text)
        if tokens < 0:
            break
        kept.append(statement)
    return tuple(kept)


def ordered(values: Iterable[str], key: str) -> list[str]:
    """The values in an order that looks random and is the same each time."""
    return sorted(dict.fromkeys(values), key=lambda value: share(key, value))


def share(*parts: str) -> float:
    """A number in [0, 1) that looks random and is the same for the same parts."""
    digest = hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def asked(
    wordings: Sequence[str], count: int, kind: str, gold: Sequence[Passage], statements: Sequence[Statement]
) -> Iterable[Example]:
    """Examples of the same answer, in at most `count` of the wordings."""
    key = " ".join(passage.id for passage in gold[:4]) + kind
    for question in ordered(wordings, key)[:count]:
        yield Example(" ".join(question.split()), kind, tuple(gold), tuple(statements))
