"""Batches of rows of similar length, the same rows together in every epoch, in another order.

The same, because what the reference model says of a batch is computed once: in the very batch that is trained on, so that
padding rounds both alike and training starts from differences of exactly zero.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence


class FixedBatches:
    """A batch sampler: lists of indices."""

    batch_size = None
    """`accelerate` then takes the batches as they are."""
    drop_last = False

    def __init__(self, lengths: Sequence[int], good: Sequence[bool], size: int, *, seed: int) -> None:
        """`lengths`: tokens of each row; `size`: rows of a batch. A single row at the end joins the batch before it."""
        self._lengths, self._seed, self._epoch = lengths, seed, 0
        order = _mixed(lengths, good, random.Random(seed))  # noqa: S311 - an order, not a secret
        self.batches = [order[at : at + size] for at in range(0, len(order), size)]
        if size > 1 and len(self.batches) > 1 and len(self.batches[-1]) == 1:
            last = self.batches.pop()
            self.batches[-1] += last

    def choose(self, epoch: int) -> None:
        """Which epoch's order comes next; counted from 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        order = list(self.batches)
        random.Random(f"{self._seed}/{self._epoch}").shuffle(order)  # noqa: S311
        return iter(order)

    @property
    def padding(self) -> float:
        """Share of all tokens that pad."""
        padded = sum(len(batch) * max(self._lengths[at] for at in batch) for batch in self.batches)
        return 1 - sum(self._lengths) / padded


def _mixed(lengths: Sequence[int], good: Sequence[bool], rng: random.Random) -> list[int]:
    """The longest first, good and bad rows in turn as their numbers are: where bad answers are the longer ones, batches by
    length alone would hold one kind each, and a step would pull one way only."""
    placed: list[tuple[float, int]] = []
    for kind in (True, False):
        rows = [at for at, label in enumerate(good) if label is kind]
        rng.shuffle(rows)  # rows of one length do not keep the file's order
        rows.sort(key=lambda at: -lengths[at])
        placed += [((rank + 0.5) / len(rows), at) for rank, at in enumerate(rows)]
    return [at for _, at in sorted(placed)]
