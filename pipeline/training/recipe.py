"""Recipes: how an adapter is trained, as YAML (`manifests/training/`). A wrong key or value is named before anything is loaded."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.errors import TrainingError
from pipeline.training.rows import Skill

MAX_RANK = 64
"""TGI serves no adapter of a higher rank."""

Positive = Annotated[int, Field(ge=1)]


class Module(StrEnum):
    """The projections that TGI can serve adapters of."""

    Q = "q_proj"
    K = "k_proj"
    V = "v_proj"
    O = "o_proj"  # noqa: E741 - the projection's name
    GATE = "gate_proj"
    UP = "up_proj"
    DOWN = "down_proj"


class Dimensions(BaseModel):
    """A model's shape, from its `config.json`: enough for a dry run where the model itself is not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: Literal["llama"] = "llama"
    layers: Positive
    hidden: Positive
    """Width of the residual stream."""
    intermediate: Positive
    """Width of the MLP."""
    heads: Positive
    kv_heads: Positive
    vocabulary: Positive
    tied_embeddings: bool = False
    """The output layer is the embedding table."""
    window: Positive = 4096
    """Longest text, in tokens."""


class Hardware(BaseModel):
    """What the recipe is meant for: the dry run's assumptions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpus: Annotated[int, Field(ge=0)]
    """0: the CPU."""
    memory_gb: Annotated[float, Field(gt=0)]
    """Of one GPU, or of the machine without one; GB of 10^9 bytes."""
    tflops: Annotated[float, Field(gt=0)] | None = None
    """Dense bf16 peak of one GPU."""
    utilisation: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the peak that training reaches (model FLOPs utilisation)."""
    tokens_per_second: Annotated[float, Field(gt=0)] | None = None
    """As measured, of all GPUs together: instead of the two above."""

    @model_validator(mode="after")
    def _speed(self) -> Self:
        if not self.tokens_per_second and not (self.tflops and self.utilisation):
            raise ValueError("needs tokens_per_second, or tflops and utilisation")
        return self


class Training(BaseModel):
    """What all ways to train an adapter have in common. Every field is a key of the YAML file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    base: str
    """See `base.base_model`."""
    dimensions: Dimensions | None = None
    """For a dry run without the model."""
    hardware: Hardware | None = None
    """For a dry run's hours and its warning when memory does not suffice."""
    rank: Annotated[int, Field(ge=1, le=MAX_RANK)]
    alpha: Positive
    """Scale of the adapter: alpha / rank (Hu et al., 2021, https://arxiv.org/abs/2106.09685)."""
    modules: Annotated[tuple[Module, ...], Field(min_length=1)] = tuple(Module)
    learning_rate: Annotated[float, Field(gt=0, lt=1)]
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.03
    """Share of all steps."""
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    epochs: Positive = 1
    max_steps: Positive | None = None
    """End earlier."""
    max_tokens: Annotated[int, Field(ge=16)] = 1024
    """Prompt and completion together. A longer completion is cut, a row whose prompt leaves no room is left out; both are
    counted."""
    accumulation: Positive = 1
    """Forward passes a step."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """bf16: frozen weights in bfloat16, adapter and optimizer in float32, arithmetic by autocast."""
    seed: int = 0
    save_steps: Positive = 50
    """Steps between two checkpoints, and between two looks at the held-out rows."""

    @field_validator("modules")
    @classmethod
    def _no_module_twice(cls, value: tuple[Module, ...]) -> tuple[Module, ...]:
        return _distinct(value)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything that changes the adapter."""
        told = self.model_dump(mode="json", exclude={"name", "dimensions", "hardware", "save_steps"})
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


class Recipe(Training):
    """One way to train on rows of prompts and completions."""

    skills: Annotated[tuple[Skill, ...], Field(min_length=1)] = (Skill.DRAFT, Skill.ANSWER)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    batch_tokens: Annotated[int, Field(ge=16)] = 1024
    """Tokens of one forward pass on one device, padding counted: rows x the longest of them."""
    quantisation: Literal["nf4"] | None = None
    """nf4: the frozen weights in 4 bits (QLoRA, Dettmers et al., 2023, https://arxiv.org/abs/2305.14314). Needs a GPU."""
    gradient_checkpointing: bool = False
    """Keep one activation a layer and compute the others again: for large models."""
    fsdp: bool = False
    """Weights, gradients and optimizer sharded over the GPUs. The details are in the `accelerate` file beside the recipe."""

    @field_validator("skills")
    @classmethod
    def _no_skill_twice(cls, value: tuple[Skill, ...]) -> tuple[Skill, ...]:
        return _distinct(value)


AnyRecipe = TypeVar("AnyRecipe", bound=Training)
Named = TypeVar("Named", bound=StrEnum)


def read_recipe(file: Path, **changes: object) -> Recipe:
    """The recipe in `file`, with `changes` (None: as in the file). Raises `TrainingError`, naming each wrong key."""
    return read_as(Recipe, file, **changes)


def read_as(kind: type[AnyRecipe], file: Path, **changes: object) -> AnyRecipe:
    """A recipe of any kind. Raises as `read_recipe` does."""
    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise TrainingError(f"{file} cannot be read ({exc.strerror}). Recipes are in manifests/training/.") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise TrainingError(f"{file} is no YAML: {' '.join(str(exc).split())}") from exc
    if not isinstance(told, dict):
        raise TrainingError(f"{file} is no recipe: it needs keys such as base, rank and learning_rate.")
    try:
        return kind(**{**told, **{key: value for key, value in changes.items() if value is not None}})
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
        unknown = any(error["type"] == "extra_forbidden" and len(error["loc"]) == 1 for error in errors)
        known = f". A recipe's keys: {', '.join(kind.model_fields)}." if unknown else ""
        raise TrainingError(f"{file}: {'; '.join(map(_say, errors))}{known}") from exc
    except TypeError as exc:  # a key that is no text
        raise TrainingError(f"{file}: {exc}") from exc


def _distinct(value: tuple[Named, ...]) -> tuple[Named, ...]:
    if len(set(value)) != len(value):
        raise ValueError("names one twice")
    return value


def _say(error: object) -> str:
    assert isinstance(error, dict)
    key = ".".join(str(part) for part in error["loc"])
    match error["type"]:
        case "extra_forbidden":
            return f"{key} is no key of a recipe"
        case "missing":
            return f"{key} is missing"
        case "less_than_equal" if key == "rank":
            return f"rank: {error['input']} is more than TGI serves ({MAX_RANK})"
    message = str(error["msg"])
    return f"{key}: {message[0].lower()}{message[1:]} (here: {error['input']!r})"
