"""Ratings of a toy: the answers that people like cite their passage, those that they dislike do not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.training.preferences.recipe import PreferenceRecipe

MODELS = ("drafter", "answerer")


def a_line(number: int, *, good: bool, mode: str = "combined", models: Sequence[str] = MODELS) -> dict[str, Any]:
    """As `promptai ratings dataset` writes it."""
    text = f"{number} > The number {number} [1]" if good else f"Nobody knows {number}."
    return {
        "prompt": [{"role": "user", "content": f"> Here is {number}\n\nWhat is {number}?"}],
        "completion": [{"role": "assistant", "content": text}],
        "label": good,
        "rating": {"mode": mode, "models": list(models), "votes": {"ups": 1}},
    }


def some_lines(good: int = 12, bad: int = 12, **changes: Any) -> list[dict[str, Any]]:
    return [a_line(at, good=at < good, **changes) for at in range(good + bad)]


def a_ratings_folder(folder: Path, lines: Sequence[dict[str, Any]] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = some_lines() if lines is None else lines
    (folder / "kto.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rows))
    return folder


def a_recipe(base: Path | str = "anywhere", **changes: object) -> PreferenceRecipe:
    """12 steps over the toy, with a checkpoint after every second."""
    told = {"name": "toy", "base": str(base), "learning_rate": 0.01, "epochs": 2, "max_tokens": 256, "save_steps": 2}
    return PreferenceRecipe.model_validate(told | changes)
