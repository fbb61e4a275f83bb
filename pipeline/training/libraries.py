"""The libraries that only training needs: an extra of the package, which answering does without."""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

from pipeline.errors import TrainingError

EXTRA = ("accelerate", "datasets", "peft", "trl")
"""The extra `train` of pyproject.toml."""


def need_libraries(find: Callable[[str], ModuleSpec | None] = find_spec) -> None:
    """Raise `TrainingError` where one is missing; nothing is imported."""
    missing = [name for name in EXTRA if find(name) is None]
    if missing:
        raise TrainingError(
            f"Training needs {', '.join(missing)}: run `pip install 'promptai[train]'` in promptai's environment."
        )
