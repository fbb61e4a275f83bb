"""How often an adapter's drafts are right, measured on held-out questions and kept beside its weights.

A drafter too small for its documents learns their style and not their facts: it is sure of wrong headings. What it drafts
for questions that it was not trained on says so, and `pipeline.confidence` then keeps it from spoiling retrieval.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from pipeline.confidence import LEAST, Calibration, Calibrations, calibrate
from pipeline.errors import ModelError, TrainingError
from pipeline.headings import title_in
from pipeline.llm import ChatModel, FirstLine, complete
from pipeline.training.rows import Row, Skill

log = structlog.get_logger(__name__)

FILE = "calibration.json"
"""In the adapter's folder."""
MAX_TOKENS = 64
"""The first line is what counts."""
MOST_FAILED = 0.05
"""Share of the questions that may stay without a draft. They are not any questions (long ones take long), so more of them
would bend what is measured."""
_DOWN = 3
"""So many failures before any draft are a server that is down, rather than long questions."""


Points = tuple[tuple[float, float], ...]
"""See `Calibration`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one draft."""

    title: float
    """Probability of the title that it begins with, 0 to 1."""
    line: float
    """Probability of its whole first line, 0 to 1."""
    right: bool
    """Whether that is the right page's title."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """An adapter's calibrations, and what they were measured on."""

    questions: int
    """Held-out questions that were drafted for."""
    right: float
    """Share of drafts that began with the right page's heading, 0 to 1."""
    data: str
    """SHA-256 of the held-out file."""
    date: str
    """ISO 8601."""
    failed: int = 0
    """Further questions that the server did not answer, asked twice."""
    title: Points = ()
    """How often a title of some probability was right; none where that was not looked at."""
    line: Points = ()
    """The same of whole first lines."""

    @property
    def calibrations(self) -> Calibrations:
        """For the online path. Raises `ValueError` where there are none."""
        if not self.title and not self.line:
            raise ValueError("neither titles nor lines were calibrated")
        return Calibrations(*(Calibration(points) if points else None for points in (self.title, self.line)))


_FILE = TypeAdapter(Calibrated)


@dataclass(frozen=True, slots=True)
class Observed:
    """What became of the drafts for held-out questions."""

    outcomes: tuple[Outcome, ...]
    failed: int = 0
    """Questions that the server did not answer, asked twice."""


async def observe(
    rows: Sequence[Row], drafter: ChatModel, *, progress: Callable[[int, int], None] | None = None
) -> Observed:
    """What becomes of the draft for each draft row.

    A request that fails is repeated once, and then counted like a failed case of an evaluation while the others go on.
    Raises `TrainingError` for too few rows, a server that tells no probabilities and too many failures; what
    `ChatModel.stream` raises where each of the first questions fails.
    """
    drafts = _to_draft(rows)
    allowed = min(int(MOST_FAILED * len(drafts)), len(drafts) - LEAST)
    outcomes: list[Outcome] = []
    failed = 0
    for row in drafts:
        try:
            outcomes.append(await _outcome(row, drafter))
        except ModelError as error:
            failed += 1
            log.warning("draft_failed", error=str(error), model=drafter.name, failed=failed)
            if not outcomes and failed == _DOWN:
                raise
            if failed > allowed:
                raise TrainingError(
                    f"{failed} of {len(outcomes) + failed} drafts failed, each asked for twice ({error}). At most"
                    f" {allowed} of {len(drafts)} may; nothing was kept. See the model server's log and calibrate again;"
                    " for a slow server raise MODEL_FIRST_TOKEN_TIMEOUT."
                ) from error
        if progress:
            progress(len(outcomes) + failed, len(drafts))
    return Observed(tuple(outcomes), failed)


def _to_draft(rows: Sequence[Row]) -> list[Row]:
    drafts = [row for row in rows if row.skill is Skill.DRAFT]
    asked = [row for row in drafts if row.provenance.generator != "rule"]
    drafts = asked if len(asked) >= LEAST else drafts  # nobody asks as a rule does
    if len(drafts) < LEAST:
        raise TrainingError(
            f"{len(drafts)} held-out drafts are too few to calibrate by: at least {LEAST} are needed. "
            "Give `promptai synthesize` more documents or seeds, or a greater --held-out-share."
        )
    return drafts


async def _outcome(row: Row, drafter: ChatModel) -> Outcome:
    try:
        text, line = await _draft(row, drafter)
    except ModelError as error:
        log.info("draft_repeated", error=str(error), model=drafter.name)
        text, line = await _draft(row, drafter)
    if line.title is None or line.probability is None:
        raise TrainingError(
            f"The server tells no probabilities for {drafter.name} (`logprobs`), so its drafts cannot be calibrated: "
            "they stay trusted by their similarity to the question."
        )
    return Outcome(line.title, line.probability, title_in(text) == title_in(row.text))


async def _draft(row: Row, drafter: ChatModel) -> tuple[str, FirstLine]:
    line = FirstLine()
    return await complete(drafter, row.prompt, max_tokens=MAX_TOKENS, seen=line), line


def summary(observed: Observed, *, data: str, date: str) -> Calibrated:
    """What is kept. `observed`: by `observe`."""
    outcomes = observed.outcomes
    right = sum(outcome.right for outcome in outcomes) / len(outcomes)
    title = _points([(outcome.title, outcome.right) for outcome in outcomes])
    line = _points([(outcome.line, outcome.right) for outcome in outcomes])
    return Calibrated(len(outcomes), right, data, date, observed.failed, title, line)


def _points(outcomes: Sequence[tuple[float, bool]]) -> Points:
    calibration = calibrate(outcomes)
    assert calibration is not None  # `observe` refuses too few
    return tuple((round(probability, 4), round(right, 4)) for probability, right in calibration.points)


def write(folder: Path, calibrated: Calibrated) -> None:
    """Write `calibration.json` into the adapter's folder, whole or not at all. Raises `TrainingError`."""
    try:
        unfinished = folder / (FILE + ".unfinished")
        unfinished.write_bytes(_FILE.dump_json(calibrated, indent=1) + b"\n")
        unfinished.replace(folder / FILE)
    except OSError as exc:
        raise TrainingError(f"{folder / FILE} cannot be written ({exc.strerror}).") from exc


def read(folder: Path) -> Calibrated | None:
    """What the adapter's folder says; None where it was not calibrated. Raises `TrainingError` for a broken file."""
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        calibrated: Calibrated = _FILE.validate_python(_as_now(json.loads(file.read_text(encoding="utf-8"))))
        _ = calibrated.calibrations
    except (OSError, ValueError, ValidationError) as exc:
        raise TrainingError(f"{file} cannot be read. Calibrate the adapter again, or remove the file.") from exc
    return calibrated


def _as_now(content: object) -> object:
    """Earlier files hold one calibration, `points`, and say whose probability it is `of`; the first ones were of lines."""
    if not isinstance(content, dict) or "points" not in content:
        return content
    rest = {key: value for key, value in content.items() if key not in ("points", "of")}
    return rest | {str(content.get("of", "line")): content["points"]}
