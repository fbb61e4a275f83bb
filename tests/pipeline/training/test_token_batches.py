"""Batches hold about as many tokens each, and every row once an epoch."""

from __future__ import annotations

import random

import pytest

from pipeline.training.token_batches import TokenBatches

LENGTHS = [random.Random(0).randrange(20, 400) for _ in range(500)]


def test_each_row_comes_once_an_epoch_and_batches_keep_their_size() -> None:
    """Rows x longest row is at most what was asked for, and little of it pads."""
    batches = TokenBatches(LENGTHS, 1024, seed=0, epochs=2)
    for epoch in range(2):
        batches.choose(epoch)
        drawn = list(batches)
        assert sorted(at for batch in drawn for at in batch) == list(range(len(LENGTHS)))
        assert all(len(batch) * max(LENGTHS[at] for at in batch) <= 1024 for batch in drawn)
        assert len(drawn) == len(batches)
    assert batches.padding < 0.1


def test_epochs_differ_and_seeds_repeat() -> None:
    """Another epoch has other batches; the same seed has the same."""
    one, again, other = (TokenBatches(LENGTHS, 1024, seed=seed, epochs=2) for seed in (0, 0, 1))
    first = list(one)
    assert first == list(again) != list(other)
    one.choose(1)
    assert list(one) != first


@pytest.mark.parametrize("ranks", [2, 8])
def test_every_rank_gets_equally_many_batches(ranks: int) -> None:
    """Also where there are fewer rows than ranks: then some are repeated."""
    assert len(TokenBatches(LENGTHS, 1024, seed=0, epochs=1, ranks=ranks)) % ranks == 0
    few = list(TokenBatches([10, 20, 30], 1024, seed=0, epochs=1, ranks=ranks))
    assert len(few) == ranks
    assert {at for batch in few for at in batch} == {0, 1, 2}


def test_a_row_longer_than_a_batch_is_a_batch() -> None:
    """It is not left out."""
    assert list(TokenBatches([5000], 1024, seed=0, epochs=1)) == [[0]]
