"""How often an adapter's drafts are right, measured on held-out questions and kept beside its weights.

A drafter too small for its documents learns their style and not their facts: it is sure of wrong headings. What it drafts
for questions that it was not trained on says so, and `pipeline.confidence` then keeps it from spoiling retrieval.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.confidence import LEAST, Calibration, Unit, calibrate
from pipeline.errors import TrainingError
from pipeline.headings import title_in
from pipeline.llm import ChatModel, FirstLine, complete
from pipeline.training.rows import Row, Skill

FILE = "calibration.json"
"""In the adapter's folder."""
MAX_TOKENS = 64
"""The first line is what counts."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """An adapter's calibration, and what it was measured on."""

    points: tuple[tuple[float, float], ...]
    """See `Calibration`."""
    questions: int
    """Held-out questions that were drafted for."""
    right: float
    """Share of drafts that began with the right page's heading, 0 to 1."""
    data: str
    """SHA-256 of the held-out file."""
    date: str
    """ISO 8601."""
    of: Unit = "line"
    """See `Calibration`; adapters calibrated before there was a choice know the line's."""

    @property
    def calibration(self) -> Calibration:
        """For the online path."""
        return Calibration(self.points, self.of)


_FILE = TypeAdapter(Calibrated)


async def observe(
    rows: Sequence[Row], drafter: ChatModel, *, progress: Callable[[int, int], None] | None = None
) -> list[tuple[float, bool]]:
    """For each draft row: the probability of the title that the draft begins with, and whether it is the right page's.

    Raises `TrainingError` for too few rows or a server that tells no probabilities, and what `ChatModel.stream` raises.
    """
    drafts = [row for row in rows if row.skill is Skill.DRAFT]
    asked = [row for row in drafts if row.provenance.generator != "rule"]
    drafts = asked if len(asked) >= LEAST else drafts  # nobody asks as a rule does
    if len(drafts) < LEAST:
        raise TrainingError(
            f"{len(drafts)} held-out drafts are too few to calibrate by: at least {LEAST} are needed. "
            "Give `promptai synthesize` more documents or seeds, or a greater --held-out-share."
        )
    outcomes: list[tuple[float, bool]] = []
    for row in drafts:
        line = FirstLine()
        text = await complete(drafter, row.prompt, max_tokens=MAX_TOKENS, seen=line)
        if line.title is None:
            raise TrainingError(
                f"The server tells no probabilities for {drafter.name} (`logprobs`), so its drafts cannot be calibrated: "
                "they stay trusted by their similarity to the question."
            )
        outcomes.append((line.title, title_in(text) == title_in(row.text)))
        if progress:
            progress(len(outcomes), len(drafts))
    return outcomes


def summary(outcomes: Sequence[tuple[float, bool]], *, data: str, date: str) -> Calibrated:
    """What is kept. `outcomes`: of `observe`."""
    calibration = calibrate(outcomes, of="title")
    assert calibration is not None  # `observe` refuses too few
    points = tuple((round(probability, 4), round(right, 4)) for probability, right in calibration.points)
    return Calibrated(
        points, len(outcomes), sum(right for _, right in outcomes) / len(outcomes), data, date, calibration.of
    )


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
        calibrated: Calibrated = _FILE.validate_python(json.loads(file.read_text(encoding="utf-8")))
        _ = calibrated.calibration
    except (OSError, ValueError, ValidationError) as exc:
        raise TrainingError(f"{file} cannot be read. Calibrate the adapter again, or remove the file.") from exc
    return calibrated
