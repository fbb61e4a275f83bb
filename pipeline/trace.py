"""What is noted down while one question is being answered: times, models, the answer they belong to."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace

from pipeline import prompts
from pipeline.llm import ChatModel
from pipeline.types import Answer, Citation, Draft, Hit, Mode, Speculation, Timings


class Run:
    """What is noted down while one question is being answered."""

    def __init__(self, clock: Callable[[], float], mode: Mode) -> None:
        self.mode = mode
        self.question = ""
        self.timings = Timings()
        self.speculation: Speculation | None = None
        self._clock = clock
        self._began = clock()
        self.models: list[str] = []
        """Asked, in order, without repetition."""

    def seconds(self) -> float:
        """Since the question came."""
        return self._clock() - self._began

    def asked(self, model: ChatModel) -> None:
        if model.name not in self.models:
            self.models.append(model.name)

    def fork(self) -> Run:
        """For an attempt whose notes may come to nothing."""
        other = copy(self)
        other.models = list(self.models)
        return other

    def retrieved(self, began: float) -> None:
        """Retrieval has just ended."""
        now = self._clock()
        self.timings = replace(
            self.timings, retrieve=milliseconds(began, now), retrieved_at=milliseconds(self._began, now)
        )

    def decided(self) -> None:
        """The passages to answer from are known."""
        self.timings = replace(self.timings, retrieved_at=milliseconds(self._began, self._clock()))

    def first_text(self) -> None:
        if self.timings.first_token is None:
            self.timings = replace(self.timings, first_token=milliseconds(self._began, self._clock()))

    def abstention(self, draft: Draft | None, hits: tuple[Hit, ...]) -> Answer:
        return replace(self.answer(prompts.ABSTENTION, (), draft, hits), abstained=True)

    def answer(self, text: str, cited: tuple[Citation, ...], draft: Draft | None, hits: tuple[Hit, ...]) -> Answer:
        timings = replace(self.timings, total=milliseconds(self._began, self._clock()))
        return Answer(
            text=text,
            abstained=False,
            mode=self.mode,
            citations=cited,
            question=self.question,
            draft=draft,
            hits=hits,
            timings=timings,
            models=tuple(self.models),
            speculation=self.speculation,
        )


def milliseconds(began: float, now: float) -> float:
    """Between two readings of a clock in seconds, to a tenth."""
    return round((now - began) * 1000, 1)
