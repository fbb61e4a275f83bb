"""The drafts of all arms: replayed, borrowed, or written once and kept."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline import prompts
from pipeline.confidence import UNCALIBRATED, UNKNOWN, Belief, Calibrations
from pipeline.errors import EvaluationError
from pipeline.evaluation.arms import Arm, DraftFrom
from pipeline.evaluation.cases import Case
from pipeline.headings import SEPARATOR
from pipeline.llm import ChatModel, FirstLine, Message, Seen, Token, complete

FAR = 37
"""The shuffled control takes the draft of a question so far down the file, or the next one about other pages."""


@dataclass(frozen=True, slots=True)
class Written:
    """A draft and what it cost."""

    text: str
    model: str
    ms: float | None
    """Milliseconds; None where it was not written now."""
    title: Belief = UNKNOWN
    """In the title that it begins with."""
    line: Belief = UNKNOWN
    """In its first line."""


@dataclass(frozen=True, slots=True)
class Drafter:
    """A model that writes drafts."""

    model: ChatModel
    trained: bool = False
    """Whether it is an adapter that learned to draft."""
    calibrations: Calibrations = UNCALIBRATED
    """How far its confidence is to be believed."""


class Drafts:
    """Gives each arm its draft for a case. A model's draft for a question is written once, whatever arms want it."""

    def __init__(
        self,
        cases: Sequence[Case],
        *,
        drafters: Mapping[str, Drafter],
        base: ChatModel | None,
        max_tokens: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`drafters`: by `Arm.drafter`; none, and no `base`, where nothing is written, as in a run that replays all drafts."""
        self._drafters = drafters
        self._base = Drafter(base) if base else None
        self._cases = cases
        self._at = {case.id: at for at, case in enumerate(cases)}
        self._max_tokens = max_tokens
        self._clock = clock
        self._written: dict[tuple[str, str], Written] = {}

    async def draft(self, arm: Arm, case: Case, question: str) -> Written | None:
        """`question`: the case's, standing alone. Raises `EvaluationError` where there is none, and `ModelError`."""
        match arm.draft:
            case DraftFrom.NOBODY:
                return None
            case DraftFrom.REFERENCE:
                return _reference(case)
            case DraftFrom.ANOTHER:
                other = self.another(case)
                return _replayed(other, arm.replay) if arm.replay else _reference(other)
            case DraftFrom.DRAFTER if arm.replay:
                return _replayed(case, arm.replay)
        return await self._write(arm, question)

    def calibrations(self, arm: Arm) -> Calibrations:
        """Of the model that writes the arm's drafts."""
        drafter = self._drafter(arm)
        return drafter.calibrations if drafter else UNCALIBRATED

    def trained(self, arm: Arm) -> bool:
        """Whether the arm's drafts begin with a heading path: an adapter's do, replayed ones are anybody's."""
        drafter = self._drafter(arm)
        return drafter is not None and drafter.trained and not arm.replay

    def another(self, case: Case) -> Case:
        """A question about other pages."""
        count = len(self._cases)
        others = (self._cases[(self._at[case.id] + FAR + step) % count] for step in range(count))
        other = next((o for o in others if o.id != case.id and o.pages and not set(o.pages) & set(case.pages)), None)
        if other is None:
            raise EvaluationError("There is no question about another page.")
        return other

    def _drafter(self, arm: Arm) -> Drafter | None:
        if arm.draft is DraftFrom.BASE:
            return self._base
        return self._drafters.get(arm.drafter) if arm.draft is DraftFrom.DRAFTER else None

    async def _write(self, arm: Arm, question: str) -> Written:
        drafter = self._drafter(arm)
        if drafter is None:
            raise EvaluationError(f"There is no model to write a draft ({arm.drafter or arm.draft}).")
        model = drafter.model
        key = (model.name, question)
        if key not in self._written:
            began = self._clock()
            line = FirstLine()
            messages = prompts.draft_messages(question, trained=drafter.trained)
            text = await complete(model, messages, max_tokens=self._max_tokens, stop=prompts.STOP, seen=line)
            ms = (self._clock() - began) * 1000
            self._written[key] = _written(drafter, text.strip(), ms, line)
        return self._written[key]


def _written(drafter: Drafter, text: str, ms: float, line: FirstLine) -> Written:
    known = drafter.calibrations
    return Written(text, drafter.model.name, ms, known.of_title(line, line_ended=True), known.of_line(line))


def _reference(case: Case) -> Written:
    if not case.reference:
        raise EvaluationError(f"{case.id} has no reference answer.")
    return Written(case.reference, "reference", None)


def _replayed(case: Case, model: str) -> Written:
    if not case.drafts.get(model):
        raise EvaluationError(f"{case.id} has no draft by {model}.")
    return Written(case.drafts[model], model, None)


class ReplayedModel:
    """A `ChatModel` that says the same whatever it is asked: a draft that is known already."""

    def __init__(self, text: str, name: str, *, title: float | None = None, line: float | None = None) -> None:
        """`title`, `line`: probability of its title and of its whole first line, 0 to 1; None: it tells none."""
        self._text = text
        self._title = title
        self._line = line
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    async def stream(
        self,
        messages: Sequence[Message],  # noqa: ARG002
        *,
        max_tokens: int,  # noqa: ARG002
        temperature: float = 0.0,  # noqa: ARG002
        stop: Sequence[str] = (),  # noqa: ARG002
        seen: Seen | None = None,
    ) -> AsyncGenerator[str, None]:
        """See `ChatModel.stream`."""
        if self._text:
            if seen and self._title and self._line:
                head, end, rest = self._text.partition(SEPARATOR)
                seen(Token(head + end, math.log(self._title if rest else self._line)))
                if rest:
                    seen(Token(rest, math.log(self._line / self._title)))
            yield self._text

    async def check(self) -> None:
        """Always there."""

    async def close(self) -> None:
        """Nothing to release."""
