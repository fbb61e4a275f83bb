"""Whether a question that somebody typed is one that evaluation asks: then it must not be trained on."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.training.duplicates import NearDuplicates
from pipeline.training.synthesis.filters import LEAK
from pipeline.training.synthesis.near import HeldOut


class Leaks:
    """By both rules for near-duplicates: people make typing errors, and they use other words (see `HeldOut`).

    What passes here also passes `promptai adapter promote`, which refuses data that asks what it is to be judged by.
    """

    def __init__(self, questions: Sequence[str]) -> None:
        self._typed = NearDuplicates(questions)
        self._worded = HeldOut(questions)

    def __contains__(self, question: str) -> bool:
        return self._typed.find(question) is not None or self._worded.similarity(question) >= LEAK
