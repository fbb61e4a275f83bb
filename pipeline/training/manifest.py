"""The manifest beside an adapter: what it was trained on, with, and how it went."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import TrainingError
from pipeline.training.base import Base

FILE = "manifest.json"
LIBRARIES = ("promptai", "torch", "transformers", "peft", "trl", "accelerate")


@dataclass(frozen=True, slots=True)
class Parent:
    """The adapter that training started from."""

    name: str
    sha256: str
    """Of its `adapter_model.safetensors`."""
    data: str
    """Hash of what it was trained on, as its own manifest has it; empty where that has none."""
    parent: Parent | None = None
    """The adapter that it started from in its turn, as its own manifest has it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`manifest.json` of an adapter's folder."""

    name: str
    """The folder's name."""
    base: Base
    """What it was trained on and has to be served with."""
    data: str
    """Hash of train.jsonl and held-out.jsonl; of kto.jsonl for an adapter trained on ratings."""
    corpus: str
    """Hash of the documents, as the data's manifest has it; empty where that has none."""
    skills: tuple[str, ...]
    recipe: dict[str, Any]
    seed: int
    steps: int
    tokens: int
    """Tokens seen, prompts included, padding not."""
    loss: float
    """Training loss a token (nats), mean of the last tenth of the steps; on ratings, of the recipe's loss a row."""
    held_out: dict[str, float]
    """Loss a token on held-out rows at the end: `all`, and by skill."""
    held_out_before: dict[str, float]
    """The same before training: the base's."""
    rows: dict[str, dict[str, int]]
    """By skill: `rows`, `cut`, `left_out`, `longest`."""
    seconds: float
    """Time spent in training steps, over all starts."""
    date: str
    """Of the end, ISO 8601."""
    template: str
    """SHA-256 of the chat template that prompts were made with."""
    versions: dict[str, str] = field(default_factory=dict)
    parent: Parent | None = None
    """None for an adapter that began at the base."""
    rewards: dict[str, float] = field(default_factory=dict)
    """Of training on ratings, mean of the last tenth of the steps: `good` and `bad` answers' rewards (beta x how much likelier,
    in nats, an answer has become than it was to the parent), and `margin`, the one less the other. Empty otherwise."""


_MANIFEST = TypeAdapter(Manifest)
_PARENT: TypeAdapter[Parent | None] = TypeAdapter(Parent | None)


def write(folder: Path, manifest: Manifest) -> None:
    """Write it whole or not at all."""
    unfinished = folder / f"{FILE}.unfinished"
    unfinished.write_text(json.dumps(asdict(manifest), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(folder / FILE)


def read(folder: Path) -> Manifest:
    """Raises `TrainingError` where there is none or it says something else."""
    try:
        manifest: Manifest = _MANIFEST.validate_json((folder / FILE).read_bytes())
    except OSError as exc:
        raise TrainingError(f"{folder} has no {FILE}: it is no adapter of `promptai finetune`.") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        raise TrainingError(f"{folder / FILE}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from exc
    return manifest


def parent_of(adapter: str, told: Mapping[str, Any]) -> Parent | None:
    """The parent that `told`, the manifest of `adapter`, names. Raises `TrainingError` where it is no such record."""
    try:
        return _PARENT.validate_python(told.get("parent"))
    except ValidationError as exc:
        raise TrainingError(
            f"The manifest of {adapter} names a parent that cannot be read. Copy the adapter again, or train it again."
        ) from exc


def versions() -> dict[str, str]:
    """Of the libraries that decide what comes out."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
