"""`promptai finetune --dry-run`: model, data and trainer are built, on PyTorch's meta device, where tensors have shapes and no numbers.

A 70B recipe is checked so in seconds and in one GB, without its weights.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipeline.errors import TrainingError
from pipeline.llm import estimate_tokens
from pipeline.llm.embedded import BASE_NAME
from pipeline.training.base import base_model
from pipeline.training.encoding import Encoded, Example, Fit, encode
from pipeline.training.finetune import Job, read_data
from pipeline.training.memory import Need, Parameters, flops_a_token, need, parameters
from pipeline.training.recipe import Dimensions, Recipe, Training
from pipeline.training.rows import Row

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a training would take."""

    recipe: Recipe
    parameters: Parameters
    """Counted on the model that was built."""
    need: Need
    """Bytes of one device."""
    rows: dict[str, Fit]
    estimated: bool
    """Tokens were estimated, because the base's tokenizer is not here."""
    steps: int
    tokens: int
    """Of all epochs, without padding."""
    padding: float
    """Share of padding among the tokens computed."""
    tokens_per_second: float | None
    """Of all devices; None where the recipe names no hardware."""
    asked: int = 0
    """Tokens that are only read, without a backward pass: half as dear, since frozen weights need no gradient of their own."""

    @property
    def hours(self) -> float | None:
        return (self.tokens + self.asked / 2) / self.tokens_per_second / 3600 if self.tokens_per_second else None

    @property
    def fits(self) -> bool | None:
        """Whether one device's memory suffices; None where the recipe names no hardware."""
        hardware = self.recipe.hardware
        return None if hardware is None else self.need.total <= hardware.memory_gb * 10**9


def dry_run(job: Job) -> Forecast:
    """Raises `TrainingError` for whatever would stop the training before its first step, but for the weights themselves."""
    data = read_data(job.data, job.recipe.skills)
    folder = local(job.recipe, job.cache)
    shape = dimensions_of(job.recipe, folder)
    encoded = counted_tokens(data.train, folder, job.recipe.max_tokens)
    trainer = _build(job.recipe, shape, encoded.examples)
    counted = parameters(shape, job.recipe)
    trained = sum(each.numel() for each in trainer.model.parameters() if each.requires_grad)
    everything = sum(each.numel() for each in trainer.model.parameters())
    if (trained, everything - trained) != (counted.adapter, counted.base):
        raise TrainingError(f"The model has {everything:,} parameters and not those of its dimensions: correct them.")
    batches, gpus = trainer.batches_for(_devices(job.recipe)), _devices(job.recipe)
    steps = -(-len(batches) // gpus // job.recipe.accumulation) * job.recipe.epochs
    shorter = min(1.0, job.recipe.max_steps / steps) if job.recipe.max_steps else 1.0
    tokens = round(encoded.tokens * job.recipe.epochs * shorter)
    mean = encoded.tokens // len(encoded.examples)
    speed = speed_of(job.recipe, shape, mean)
    return Forecast(
        job.recipe, counted, need(shape, job.recipe), encoded.fits, folder is None, round(steps * shorter), tokens,
        batches.padding, speed,
    )  # fmt: skip


def local(recipe: Training, cache: Path) -> Path | None:
    """The base's folder where it is here: nothing is downloaded for a dry run."""
    name = recipe.base
    if name == BASE_NAME or Path(name).expanduser().exists():
        return base_model(name, cache)
    if not recipe.dimensions:
        raise TrainingError(
            f"{name} is not on this machine: write its dimensions into the recipe (manifests/training/models.yaml has some)."
        )
    return None


def dimensions_of(recipe: Training, folder: Path | None) -> Dimensions:
    """The model's own where it is here, else the recipe's."""
    if folder is None:
        assert recipe.dimensions
        return recipe.dimensions
    told = json.loads((folder / "config.json").read_bytes())
    try:
        return Dimensions(
            architecture=told["model_type"], layers=told["num_hidden_layers"], hidden=told["hidden_size"],
            intermediate=told["intermediate_size"], heads=told["num_attention_heads"],
            kv_heads=told["num_key_value_heads"], vocabulary=told["vocab_size"],
            tied_embeddings=told.get("tie_word_embeddings", False), window=told["max_position_embeddings"],
        )  # fmt: skip
    except (KeyError, ValidationError) as exc:
        raise TrainingError(f"{folder} is no Llama, and a dry run is for Llamas only: {exc}") from exc


def counted_tokens(rows: Sequence[Row], folder: Path | None, max_tokens: int) -> Encoded:
    """By the base's tokenizer where it is here, else estimated."""
    if folder is None:
        return _estimate(rows, max_tokens)
    from pipeline.training.lora import load_tokenizer  # noqa: PLC0415 - seconds of imports, where they are needed

    return encode(rows, load_tokenizer(folder), max_tokens)


def _estimate(rows: Sequence[Row], max_tokens: int) -> Encoded:
    examples: list[Example] = []
    kept: list[int] = []
    fits: dict[str, Fit] = {}
    for at, row in enumerate(rows):
        prompt, length = estimate_tokens(row.prompt), estimate_tokens((*row.prompt, *row.completion))
        fit = fits.setdefault(row.skill.value, Fit())
        fit.rows += 1
        fit.longest = max(fit.longest, length)
        if prompt >= max_tokens:
            fit.left_out += 1
            continue
        fit.cut += length > max_tokens
        examples.append(Example((0,) * min(length, max_tokens), prompt))
        kept.append(at)
    if not examples:
        raise TrainingError(f"None of {len(rows)} rows fits into max_tokens: {max_tokens}. Raise max_tokens.")
    return Encoded(tuple(examples), fits, tuple(kept))


def _build(recipe: Recipe, shape: Dimensions, examples: Sequence[Example]) -> Any:
    """The trainer as it would be, with its optimizer."""
    import torch  # noqa: PLC0415
    from accelerate import init_empty_weights  # noqa: PLC0415
    from tokenizers import Tokenizer, models  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast  # noqa: PLC0415

    from pipeline.training.trainer import CompletionTrainer, OnMeta, training_arguments  # noqa: PLC0415

    config = LlamaConfig(
        hidden_size=shape.hidden, intermediate_size=shape.intermediate, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads, vocab_size=shape.vocabulary,
        tie_word_embeddings=shape.tied_embeddings, max_position_embeddings=shape.window,
    )  # fmt: skip
    word = "x"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE({word: 0}, [])), eos_token=word, pad_token=word
    )
    with init_empty_weights():
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.tie_weights()
    with tempfile.TemporaryDirectory() as folder, init_empty_weights():
        args = training_arguments(recipe, Path(folder), cpu=True, kind=OnMeta)
        trainer = CompletionTrainer(model, tokenizer, examples, {}, recipe, args, [])
        trainer.create_optimizer()  # type: ignore[no-untyped-call]
    return trainer


def _devices(recipe: Recipe) -> int:
    return max(1, recipe.hardware.gpus) if recipe.hardware else 1


def speed_of(recipe: Recipe, shape: Dimensions, length: int) -> float | None:
    """Tokens a second of all devices, for rows of `length` tokens; None where the recipe names no hardware."""
    hardware = recipe.hardware
    if hardware is None or hardware.tokens_per_second:
        return hardware.tokens_per_second if hardware else None
    assert hardware.tflops
    assert hardware.utilisation
    flops = _devices(recipe) * hardware.tflops * 10**12 * hardware.utilisation
    return flops / flops_a_token(shape, recipe, length)
