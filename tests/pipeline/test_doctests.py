"""The examples in docstrings are true."""

from __future__ import annotations

import doctest

import pytest

from pipeline import citations, cleaning, repetition
from pipeline.training import duplicates, scrubbing


@pytest.mark.parametrize("module", [citations, cleaning, repetition, duplicates, scrubbing])
def test_the_examples_give_what_they_say(module: object) -> None:
    results = doctest.testmod(module)  # type: ignore[arg-type]
    assert results.attempted > 0
    assert results.failed == 0
