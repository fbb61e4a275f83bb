"""`trl`'s `SFTTrainer` with batches by tokens, and on a CPU logits only where there is loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers.trainer_callback import PrinterCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from pipeline.training.encoding import IGNORED, Example
from pipeline.training.lora import lora_config
from pipeline.training.recipe import Recipe
from pipeline.training.running import CarefulTrainer, Epochs, shared_arguments
from pipeline.training.token_batches import TokenBatches

LOGITS_AT_ONCE = 512
"""Positions of one slice of logits: 512 x 49,152 in float32 are 100 MB."""


class CompletionTrainer(CarefulTrainer, SFTTrainer):
    """Trains on the completions of encoded rows."""

    model: Any

    def __init__(
        self, model: Any, tokenizer: Any, examples: Sequence[Example], held_out: Mapping[str, Sequence[Example]],
        recipe: Recipe, args: SFTConfig, callbacks: Sequence[Any],
    ) -> None:  # fmt: skip
        """`held_out`: rows of each skill that are only looked at."""
        self._recipe = recipe
        self._held_out = held_out
        super().__init__(
            model=model,
            args=args,
            train_dataset=_dataset(examples),
            processing_class=tokenizer,
            peft_config=lora_config(recipe),
            callbacks=list(callbacks),
        )
        self._lengths = [len(example.ids) for example in examples]
        ranks = self.accelerator.num_processes
        self._batches = self.batches_for(ranks)
        self.add_callback(Epochs(self._batches, math.ceil(len(self._batches) / ranks / recipe.accumulation)))  # type: ignore[no-untyped-call]
        self.remove_callback(PrinterCallback)  # type: ignore[no-untyped-call]

    def batches_for(self, ranks: int) -> TokenBatches:
        """The batches of the training rows on so many devices."""
        recipe = self._recipe
        return TokenBatches(self._lengths, recipe.batch_tokens, seed=recipe.seed, epochs=recipe.epochs, ranks=ranks)

    def any_rank(self, said: bool) -> bool:
        """Whether any rank said so: all of them have to stop, and save, after the same step."""
        if self.accelerator.num_processes == 1:
            return said
        votes = torch.tensor(float(said), device=self.accelerator.device)
        return bool(self.accelerator.reduce(votes).item())

    def save_whole(self, folder: Path) -> None:
        """Save the adapter (PEFT's files), gathered from all ranks. Every rank calls it."""
        if self.is_fsdp_enabled:
            self.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
        self.save_model(str(folder))

    def get_train_dataloader(self) -> Any:
        return self._loader(self.train_dataset, self._batches)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean cross-entropy of the completions' tokens. `num_items_in_batch`: of all of this step's, on all devices.

        On a GPU `trl` projects only labelled positions; elsewhere it projects all of them, and we do it here.
        """
        if inputs["input_ids"].device.type != "cpu" or self.accelerator.num_processes > 1 or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)  # type: ignore[no-untyped-call]
        total, count = self._losses(inputs)
        return total / (count if num_items_in_batch is None else num_items_in_batch)

    def _losses(self, inputs: dict[str, Any]) -> tuple[Any, int]:
        """The sum of the losses, and of how many tokens it is."""
        base = self.model.get_base_model()
        labels = inputs["labels"][:, 1:]
        mask = labels != IGNORED
        with torch.autocast("cpu", torch.bfloat16, enabled=self._recipe.precision == "bf16"):
            states = base.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
            hidden, targets = states.last_hidden_state[:, :-1][mask], labels[mask]
            parts = [
                F.cross_entropy(base.lm_head(some).float(), wanted, reduction="sum")
                for some, wanted in zip(hidden.split(LOGITS_AT_ONCE), targets.split(LOGITS_AT_ONCE), strict=True)
            ]
        return torch.stack(parts).sum(), int(mask.sum())

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Mean loss a token on the held-out rows: of each skill, and of all."""
        self.model.eval()
        totals: dict[str, Any] = {}
        for skill, examples in self._held_out.items():
            lengths = [len(example.ids) for example in examples]
            ranks = self.accelerator.num_processes
            batches = TokenBatches(lengths, self._recipe.batch_tokens, seed=0, epochs=1, ranks=ranks)
            total = torch.zeros(2, dtype=torch.float64)
            for inputs in self._loader(_dataset(examples), batches):
                count = (inputs["labels"][:, 1:] != IGNORED).sum().item()
                with torch.no_grad(), self.compute_loss_context_manager():  # type: ignore[no-untyped-call]
                    loss = self.compute_loss(self.model_wrapped, inputs).item()
                total += torch.tensor([loss * count, count], dtype=torch.float64)
            totals[skill] = self.accelerator.reduce(total.float().to(self.accelerator.device)).cpu()
        self.model.train()
        metrics = {f"eval_loss_{skill}": (total[0] / total[1]).item() for skill, total in totals.items()}
        if totals:
            both = torch.stack(list(totals.values())).sum(0)
            metrics["eval_loss"] = (both[0] / both[1]).item()
        self._metrics["eval"].clear()
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _loader(self, dataset: Dataset, batches: TokenBatches) -> Any:
        loader = DataLoader(dataset, batch_sampler=batches, collate_fn=self.data_collator)
        return self.accelerator.prepare_data_loader(loader)


class OnMeta(SFTConfig):
    """For a model without numbers, which cannot be moved to a device."""

    place_model_on_device = False


def training_arguments(recipe: Recipe, folder: Path, *, cpu: bool, kind: type[SFTConfig] = SFTConfig) -> SFTConfig:
    """What `transformers` is told. `folder`: where checkpoints go."""
    return kind(
        **shared_arguments(recipe, folder, cpu=cpu),
        per_device_train_batch_size=1,  # not used: see TokenBatches
        gradient_checkpointing=recipe.gradient_checkpointing,
        accelerator_config={"even_batches": False},
    )


def _dataset(examples: Sequence[Example]) -> Dataset:
    return Dataset.from_dict(
        {"input_ids": [list(example.ids) for example in examples], "labels": [example.labels for example in examples]}
    )
