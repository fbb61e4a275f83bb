"""`kto.jsonl` of `promptai ratings dataset`: answers that people voted up or down, and which of them are learned from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pipeline.errors import TrainingError
from pipeline.llm import Message
from pipeline.training.preferences.recipe import PreferenceRecipe
from pipeline.training.ratings_folder import KTO
from pipeline.training.rows import Provenance, Row, Skill, check, file_hash, parsed
from pipeline.types import Mode


@dataclass(frozen=True, slots=True)
class Preference:
    """An answer, and what people thought of it."""

    row: Row
    """Of the skill `answer`: what is rated is what people read, never a draft."""
    good: bool
    mode: Mode | None
    """None where the row does not say: then it is taken to have passages in its prompt."""
    models: tuple[str, ...]
    """That took part in the answer, drafter and answerer."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """The rows to learn from."""

    rows: tuple[Preference, ...]
    left_out: int
    """Rows of other modes, or in which the model asked for took no part."""
    hash: str
    """Of the file."""

    @property
    def good(self) -> int:
        return sum(row.good for row in self.rows)

    @property
    def bad(self) -> int:
        return len(self.rows) - self.good

    @property
    def writers(self) -> list[tuple[str, int]]:
        """Models and in how many rows they took part, most first."""
        return Counter(name for row in self.rows for name in row.models).most_common()


@dataclass(frozen=True, slots=True)
class _Rating:
    mode: Mode | None = None
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    label: bool
    rating: _Rating = _Rating()


_LINE = TypeAdapter(_Line)


def read_preferences(folder: Path, recipe: PreferenceRecipe) -> Preferences:
    """The rows that `recipe` learns from. Raises `TrainingError` where they are broken, too few, or all good or all bad."""
    file = folder / KTO
    if not file.is_file():
        raise TrainingError(f"{folder} has no {KTO}: give the folder that `promptai ratings dataset` wrote.")
    everything = read_all(file)
    rows = tuple(row for row in everything if _wanted(row, recipe))
    found = Preferences(rows, len(everything) - len(rows), file_hash(file))
    _check(found, everything, recipe, file)
    return found


def read_all(file: Path) -> tuple[Preference, ...]:
    """Every row of the file. Raises `TrainingError` for broken lines."""
    return parsed([file], _preference)


def weights(good: int, bad: int, desirable: float | None, undesirable: float | None) -> tuple[float, float]:
    """Weights of good and bad answers: as given, and 1 for the other; else from their numbers.

    KTO's authors want (desirable x good) / (undesirable x bad) between 1 and 4/3 (section 4.2 of the paper, equation 8): the
    rarer side's weight is raised until it is.

    >>> weights(300, 100, None, None), weights(100, 200, None, None), weights(110, 100, None, None)
    ((1.0, 2.25), (2.0, 1.0), (1.0, 1.0))
    """
    if desirable is not None or undesirable is not None:
        return desirable or 1.0, undesirable or 1.0
    ratio = good / bad
    return (1 / ratio, 1.0) if ratio < 1 else (1.0, max(1.0, ratio * 3 / 4))


def kept_labels(data: Preferences, kept: Sequence[int], recipe: PreferenceRecipe) -> list[bool]:
    """Whether each row that fitted into the window is a good answer. Raises `TrainingError` where too few are left, or one kind.

    `kept`: indices of these rows.
    """
    if len(kept) < recipe.least_rows:
        raise TrainingError(
            f"Only {len(kept):,} of {len(data.rows):,} rows fit into max_tokens: {recipe.max_tokens}, and the recipe wants at "
            f"least {recipe.least_rows}. Raise max_tokens."
        )
    good = [data.rows[at].good for at in kept]
    if all(good) or not any(good):
        missing = "bad" if all(good) else "good"
        raise TrainingError(
            f"None of the {missing} answers fits into max_tokens: {recipe.max_tokens}. Raise max_tokens."
        )
    return good


def _preference(text: bytes) -> Preference:
    line: Any = _LINE.validate_json(text)
    provenance = Provenance("", (), "", " ".join(line.rating.models))
    row = check(Row(line.prompt, line.completion, Skill.ANSWER, "rated", provenance))
    return Preference(row, line.label, line.rating.mode, line.rating.models)


def _wanted(row: Preference, recipe: PreferenceRecipe) -> bool:
    served = row.mode is None or row.mode in recipe.modes
    return served and (recipe.written_by is None or recipe.written_by in row.models)


def _check(found: Preferences, everything: Sequence[Preference], recipe: PreferenceRecipe, file: Path) -> None:
    counted = f"{found.good:,} good and {found.bad:,} bad answers"
    which = f"{file} has {counted} to learn from{f' ({found.left_out:,} are left out)' if found.left_out else ''}"
    if recipe.written_by and not any(recipe.written_by in row.models for row in everything):
        known = ", ".join(sorted({name for row in everything for name in row.models})) or "no models"
        raise TrainingError(f"No answer in {file} is by {recipe.written_by}: its rows name {known}.")
    if len(found.rows) < recipe.least_rows:
        raise TrainingError(
            f"{which}; the recipe wants at least {recipe.least_rows} together. Collect more ratings, or lower least_rows and "
            "look closely at what comes out."
        )
    if not found.good or not found.bad:
        missing = "bad" if found.good else "good"
        raise TrainingError(
            f"{which}: without {missing} ones there is nothing to tell apart. Collect more ratings, or train on sft.jsonl "
            "(docs/fine-tuning.md)."
        )
