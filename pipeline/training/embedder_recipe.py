"""How an embedder is trained: a YAML file in `manifests/training/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from pipeline.errors import TrainingError


@checked_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class EmbedderRecipe:
    """The defaults suit a few thousand pairs and a model of MiniLM's size on a CPU."""

    base: str = "all-MiniLM-L6-v2"
    """A sentence-transformers model, by name or folder."""
    epochs: Annotated[int, Field(ge=1, le=100)] = 3
    """At most; training stops when the held-out pairs get no better."""
    batch: Annotated[int, Field(ge=2, le=4096)] = 32
    """Pairs a step: each passage is a negative of all other questions of the batch."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 3e-5
    """The highest, after the warm-up; then it falls linearly to 0."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps over which the rate rises from 0."""
    scale: Annotated[float, Field(gt=0, le=200)] = 20.0
    """Of the cosine similarities in the loss: one over the temperature."""
    hard_negatives: bool = True
    """Give each pair a passage that looks right to the base model and is of another document."""
    margin: Annotated[float, Field(gt=0, le=1)] = 0.95
    """A hard negative has at most this share of the positive's similarity."""
    max_tokens: Annotated[int, Field(ge=16, le=8192)] = 160
    """Longer texts are cut in training, and counted; the trained model keeps the base's window."""
    held_out: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of the pairs that judge: of documents that are not trained on."""
    evaluations: Annotated[int, Field(ge=1, le=20)] = 1
    """How often an epoch is judged, and a checkpoint kept."""
    patience: Annotated[int, Field(ge=1)] = 2
    """Stop after so many evaluations without a better one."""
    mixes: tuple[Annotated[float, Field(ge=0, le=1)], ...] = (0.25, 0.5, 0.75, 1.0)
    """Shares of the trained weights in the result, the rest being the base's: the one that judges best is kept."""
    bf16: bool = True
    """Matrix products in bfloat16, where the machine has them."""
    seed: int = 0


_RECIPE = TypeAdapter(EmbedderRecipe)


@dataclass(frozen=True, slots=True)
class Work:
    """A training to be done."""

    pairs: Path
    """`pairs.jsonl`."""
    out: Path
    """The trained embedder's folder; beside it, `NAME.checkpoints` until it is done."""
    recipe: EmbedderRecipe


def read_recipe(file: Path) -> EmbedderRecipe:
    """Raises `TrainingError`, naming the key."""
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        return _RECIPE.validate_python(found)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise TrainingError(f"{file} cannot be read as a recipe: {exc}") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise TrainingError(f"{file}: {where}: {first['msg']}. docs/fine-tuning.md lists the keys.") from exc
