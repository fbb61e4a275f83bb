"""What a training on ratings is given, where it begins, and what it consists of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.training.base import Base
from pipeline.training.encoding import Encoded
from pipeline.training.preferences.parent import Improved
from pipeline.training.preferences.recipe import PreferenceRecipe


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be trained."""

    data: Path
    """Folder of `promptai ratings dataset`."""
    recipe: PreferenceRecipe
    adapter: Path | None
    """The adapter to improve; None: begin at the base."""
    out: Path
    """The new adapter's folder."""
    cache: Path
    """Where converted bases are kept."""
    fresh: bool = False
    """Forget an earlier run in `out`."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a training begins."""

    folder: Path
    base: Base
    recipe: PreferenceRecipe
    """With the rank, alpha and modules that are trained: the parent's, where there is one."""
    parent: Improved | None


@dataclass(frozen=True, slots=True)
class Run:
    """A training that is ready to begin."""

    trainer: Any
    encoded: Encoded
    good: list[bool]
    """Of each example, whether it is a good answer."""
    log: Any
    watch: Any
    template: str
    """Hash of the chat template."""
