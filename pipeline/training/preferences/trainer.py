"""`trl`'s `KTOTrainer` with batches by length, a reference computed once, and on a CPU logits only where there is loss."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers.trainer_callback import PrinterCallback
from trl.trainer.kto_config import KTOConfig
from trl.trainer.kto_trainer import KTOTrainer

from pipeline.training.encoding import IGNORED, Example
from pipeline.training.preferences.batches import FixedBatches
from pipeline.training.preferences.recipe import PreferenceRecipe
from pipeline.training.running import CarefulTrainer, Epochs, shared_arguments
from pipeline.training.trainer import LOGITS_AT_ONCE

REFERENCE = "ref"
"""`trl`'s name for its frozen copy of the adapter that it is given."""
KEPT_EVERY = 8
"""Batches of the reference after which its words are written down: what a killed run asks again at most."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What is trained on."""

    examples: Sequence[Example]
    good: Sequence[bool]
    """One for each example."""


class PreferenceTrainer(CarefulTrainer, KTOTrainer):
    """Makes good answers likelier and bad ones less likely than they are to the adapter that it starts from."""

    model: Any
    train_dataset: Any

    def __init__(
        self, model: Any, tokenizer: Any, rows: Rows, recipe: PreferenceRecipe, args: KTOConfig, callbacks: Sequence[Any]
    ) -> None:  # fmt: skip
        """`model`: base and adapter (PEFT's); the adapter as it is now is the reference."""
        self._recipe = recipe
        lengths = [len(example.ids) for example in rows.examples]
        self.batches = FixedBatches(lengths, rows.good, recipe.batch, seed=recipe.seed)
        super().__init__(
            model=model,
            args=args,
            train_dataset=_dataset(rows, self.batches.batches if recipe.loss == "kto" else []),
            processing_class=tokenizer,
            callbacks=list(callbacks),
        )
        self.add_callback(Epochs(self.batches, math.ceil(len(self.batches) / recipe.accumulation)))  # type: ignore[no-untyped-call]
        self.remove_callback(PrinterCallback)  # type: ignore[no-untyped-call]
        if args.use_cpu:
            base = self.model.get_base_model()
            base.forward = _completions_only(base, bf16=recipe.precision == "bf16")

    def compare_with(self, kept: Path, progress: Callable[[int, int], None], stopped: Callable[[], bool]) -> None:
        """Compute how likely the reference finds each answer, as far as `kept` does not say it, and let go of the reference.

        It is asked in the very batches that are trained on. `progress`: rows done, and of how many. `stopped`: asked after
        each batch; where it says so, what was asked is kept and the trainer is not to be run.
        """
        told = self._ask_reference(kept, progress, stopped)
        if stopped():
            return
        for column, values in told.items():
            self.train_dataset = self.train_dataset.add_column(column, values)
        self.precompute_ref_logps = True  # `trl` then takes the columns' word for it
        self.model.delete_adapter(REFERENCE)
        self.model.set_adapter("default")

    def _ask_reference(
        self, kept: Path, progress: Callable[[int, int], None], stopped: Callable[[], bool]
    ) -> dict[str, list[float | None]]:
        """By column; None for what was not asked yet."""
        told = self._asked_before(kept)
        count = len(self.train_dataset)
        missing = [batch for batch in self.batches.batches if told["ref_logps"][batch[0]] is None]
        done = count - sum(map(len, missing))
        for number, batch in enumerate(missing, start=1):
            inputs = self._prepare_inputs(self.data_collator([self.train_dataset[at] for at in batch]))
            answers = self.compute_ref_log_probs(self.model, inputs)  # type: ignore[no-untyped-call]
            for values, answer in zip(told.values(), answers, strict=False):  # without KL the second is None
                for at, value in zip(batch, answer.tolist(), strict=True):
                    values[at] = value
            done += len(batch)
            progress(done, count)
            stop = stopped()
            if stop or number % KEPT_EVERY == 0 or done == count:
                _keep(kept, told)
            if stop:
                break
        return told

    def _asked_before(self, kept: Path) -> dict[str, list[float | None]]:
        if kept.is_file():
            told: dict[str, list[float | None]] = json.loads(kept.read_bytes())
            return told
        names = ("ref_logps", "ref_KL_logps") if self.calculate_KL else ("ref_logps",)
        return {name: [None] * len(self.train_dataset) for name in names}

    def get_train_dataloader(self) -> Any:
        loader = DataLoader(self.train_dataset, batch_sampler=self.batches, collate_fn=self.data_collator)
        return self.accelerator.prepare_data_loader(loader)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """In the first epoch each row is judged before it is trained on: the log's rewards are of unseen rows."""
        return {}

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        """The rows are encoded already, as those of other trainings are."""
        return dataset


def _keep(file: Path, told: Mapping[str, list[float | None]]) -> None:
    unfinished = file.with_name(file.name + ".unfinished")
    unfinished.write_text(json.dumps(told))
    unfinished.replace(file)


def preference_arguments(
    recipe: PreferenceRecipe, folder: Path, weights: tuple[float, float], *, cpu: bool
) -> KTOConfig:
    """What `transformers` and `trl` are told. `weights`: of good and bad answers. `folder`: where checkpoints go."""
    return KTOConfig(
        **shared_arguments(recipe, folder, cpu=cpu),
        per_device_train_batch_size=recipe.batch,
        gradient_checkpointing=False,
        loss_type=recipe.loss,
        beta=recipe.beta,
        desirable_weight=weights[0],
        undesirable_weight=weights[1],
    )


def _dataset(rows: Rows, mismatched: Sequence[Sequence[int]]) -> Dataset:
    """`mismatched`: batches in which each question also gets its neighbour's answer, for KTO's estimate of the divergence."""
    answers = [list(example.ids[example.prompt :]) for example in rows.examples]
    columns: dict[str, list[Any]] = {
        "prompt_ids": [list(example.ids[: example.prompt]) for example in rows.examples],
        "completion_ids": answers,
        "label": list(rows.good),
    }
    if mismatched:
        others = list(range(len(answers)))
        for batch in mismatched:
            for at, other in zip(batch, [batch[-1], *batch[:-1]], strict=True):
                others[at] = other
        columns["KL_completion_ids"] = [answers[other] for other in others]
    return Dataset.from_dict(columns)


def _completions_only(base: Any, *, bf16: bool) -> Callable[..., Any]:
    """The forward pass that `trl` asks for, with logits at labelled positions only: off a GPU `trl` projects all of them."""

    def forward(*args: Any, labels: Any, fused_lm_head: bool, **kwargs: Any) -> Any:
        assert fused_lm_head
        wanted = labels[:, 1:]
        mask = wanted != IGNORED
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            states = base.model(*args, **kwargs)
            hidden, targets = states.last_hidden_state[:, :-1][mask], wanted[mask]
            parts = [
                -F.cross_entropy(base.lm_head(some).float(), told, reduction="none")
                for some, told in zip(hidden.split(LOGITS_AT_ONCE), targets.split(LOGITS_AT_ONCE), strict=True)
            ]
        found = torch.cat(parts)
        log_probs = found.new_zeros(mask.shape).masked_scatter(mask, found)
        unread = torch.zeros_like(log_probs)  # figures that `trl` adds to its log and nobody here reads
        return SimpleNamespace(log_probs=log_probs, entropy=unread, mean_logits=unread)

    return forward
