"""Batches of rows of similar length, of about as many tokens each: little padding, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

POOL = 64
"""Batches' worth of rows that are sorted by length together: enough for little padding, few enough for random batches."""


class TokenBatches:
    """A batch sampler: lists of indices, new ones in each epoch, always equally many.

    Equally many in each epoch, because the schedule is computed from their number; a multiple of `ranks`, because a rank
    without a batch would make the others wait for it.
    """

    batch_size = None
    """`accelerate` then takes the batches as they are."""
    drop_last = False

    def __init__(self, lengths: Sequence[int], batch_tokens: int, *, seed: int, epochs: int, ranks: int = 1) -> None:
        """`lengths`: tokens of each row; `batch_tokens`: rows x longest row, at most, unless one row alone is longer."""
        self._lengths = lengths
        self._epochs = [self._draw(batch_tokens, random.Random(f"{seed}/{epoch}")) for epoch in range(epochs)]  # noqa: S311
        most = max(len(batches) for batches in self._epochs)
        self._count = -(-most // ranks) * ranks
        for batches in self._epochs:
            self._split(batches)
        self._epoch = 0

    def choose(self, epoch: int) -> None:
        """Which epoch's batches come next; counted from 0.

        Not `set_epoch`: `accelerate` calls that by itself, with 0 for the first epoch after a checkpoint, whichever it is.
        """
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._epochs[self._epoch % len(self._epochs)])

    @property
    def padding(self) -> float:
        """Share of all tokens that pad."""
        padded = sum(len(batch) * max(self._lengths[at] for at in batch) for batch in self._epochs[0])
        return 1 - sum(self._lengths[at] for batch in self._epochs[0] for at in batch) / padded

    def _draw(self, batch_tokens: int, rng: random.Random) -> list[list[int]]:
        order = list(range(len(self._lengths)))
        rng.shuffle(order)
        mean = sum(self._lengths) / len(order)
        pool = max(1, round(POOL * batch_tokens / mean))
        batches: list[list[int]] = []
        for start in range(0, len(order), pool):
            batch: list[int] = []
            for at in sorted(order[start : start + pool], key=lambda at: self._lengths[at], reverse=True):
                if batch and (len(batch) + 1) * self._lengths[batch[0]] > batch_tokens:
                    batches.append(batch)
                    batch = []
                batch.append(at)
            batches.append(batch)
        rng.shuffle(batches)
        return batches

    def _split(self, batches: list[list[int]]) -> None:
        """Halve the batches with the most rows until there are enough; rows are repeated only where none can be halved."""
        while len(batches) < self._count:
            at = max(range(len(batches)), key=lambda at: len(batches[at]))
            batch = batches[at]
            half = len(batch) // 2
            if half:
                batches[at] = batch[:half]
            batches.append(batch[half:])
