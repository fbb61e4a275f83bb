"""Batches for in-batch negatives: no passage twice, and texts of like length together."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

_BATCHES_SORTED = 16
"""Examples are sorted by length within so many batches: little padding, and still another mixture each epoch."""


@dataclass(frozen=True, slots=True)
class Example:
    """What a batch is made of."""

    texts: Collection[str]
    """Keys of the question and of each passage. Two examples that share one are never in the same batch: the passage of
    the one would be a negative of the other, and wrong."""
    length: int
    """Characters of the longest text."""


def batches(examples: Sequence[Example], size: int, seed: int) -> Iterator[list[int]]:
    """At most `batch_count` batches of indices. Each example is in one at most; the few that fit nowhere wait for
    another epoch's order."""
    order = list(range(len(examples)))
    random.Random(seed).shuffle(order)  # noqa: S311  # an order, not a secret
    made: list[list[int]] = []
    for start in range(0, len(order), size * _BATCHES_SORTED):
        made += _fill(examples, order[start : start + size * _BATCHES_SORTED], size)
    fullest = sorted(made, key=len, reverse=True)[: batch_count(examples, size)]
    random.Random(seed + 1).shuffle(fullest)  # noqa: S311
    yield from fullest


def batch_count(examples: Sequence[Example], size: int) -> int:
    """Batches an epoch, the same in each: what learning rate and progress are planned by."""
    return max(1, len(examples) // size)


def _fill(examples: Sequence[Example], chunk: Sequence[int], size: int) -> list[list[int]]:
    """First fit, longest first."""
    filled: list[tuple[list[int], set[str]]] = []
    for index in sorted(chunk, key=lambda each: -examples[each].length):
        texts = examples[index].texts
        for members, held in filled:
            if len(members) < size and held.isdisjoint(texts):
                members.append(index)
                held.update(texts)
                break
        else:
            filled.append(([index], set(texts)))
    return [members for members, _ in filled if len(members) > 1]
