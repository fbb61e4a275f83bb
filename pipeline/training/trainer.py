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
from transformers.trainer_callback import PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from pipeline.errors import TrainingError
from pipeline.training import checkpoints
from pipeline.training.encoding import IGNORED, Example
from pipeline.training.lora import lora_config
from pipeline.training.recipe import Recipe
from pipeline.training.token_batches import TokenBatches

LOGITS_AT_ONCE = 512
"""Positions of one slice of logits: 512 x 49,152 in float32 are 100 MB."""


class _Epochs(TrainerCallback):
    """Chooses each epoch's batches, also after a checkpoint."""

    def __init__(self, batches: TokenBatches, steps: int) -> None:
        """`steps`: of one epoch."""
        self._batches, self._steps = batches, steps

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._batches.choose(state.global_step // self._steps)


class CompletionTrainer(SFTTrainer):
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
        self.add_callback(_Epochs(self._batches, math.ceil(len(self._batches) / ranks / recipe.accumulation)))  # type: ignore[no-untyped-call]
        self.remove_callback(PrinterCallback)  # type: ignore[no-untyped-call]

    def batches_for(self, ranks: int) -> TokenBatches:
        """The batches of the training rows on so many devices."""
        recipe = self._recipe
        return TokenBatches(self._lengths, recipe.batch_tokens, seed=recipe.seed, epochs=recipe.epochs, ranks=ranks)

    def run(self, resume: Path | None) -> None:
        """Train to the end, or until the watch says stop. Raises `TrainingError` where the disk has no room.

        The last whole checkpoint stays then; what was written of another one is removed.
        """
        try:
            self.train(resume_from_checkpoint=str(resume) if resume else None)
        except torch.OutOfMemoryError as exc:
            raise TrainingError(
                f"The GPU's memory is full: lower batch_tokens, or use fewer tokens a row. ({exc})"
            ) from exc

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

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder, step = Path(str(self.args.output_dir)), self.state.global_step
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[no-untyped-call]
        except Exception as exc:  # safetensors, torch and json each have their own way to say that a disk is full
            checkpoints.discard(folder, step)
            raise TrainingError(
                f"The checkpoint of step {step} cannot be written to {folder}: {exc} Make room and run the same command "
                "again: it goes on from the checkpoint before."
            ) from exc

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

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """The manifest says more."""

    def _loader(self, dataset: Dataset, batches: TokenBatches) -> Any:
        loader = DataLoader(dataset, batch_sampler=batches, collate_fn=self.data_collator)
        return self.accelerator.prepare_data_loader(loader)


class OnMeta(SFTConfig):
    """For a model without numbers, which cannot be moved to a device."""

    place_model_on_device = False


def training_arguments(recipe: Recipe, folder: Path, *, cpu: bool, kind: type[SFTConfig] = SFTConfig) -> SFTConfig:
    """What `transformers` is told. `folder`: where checkpoints go."""
    return kind(
        output_dir=str(folder),
        use_cpu=cpu,
        bf16=recipe.precision == "bf16" and not cpu,  # on a CPU our own loss does the autocast
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_ratio=recipe.warmup,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        num_train_epochs=recipe.epochs,
        max_steps=recipe.max_steps or -1,
        per_device_train_batch_size=1,  # not used: see TokenBatches
        gradient_accumulation_steps=recipe.accumulation,
        gradient_checkpointing=recipe.gradient_checkpointing,
        accelerator_config={"even_batches": False},
        max_length=None,
        save_steps=recipe.save_steps,
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,
        include_num_input_tokens_seen="non_padding",
        seed=recipe.seed,
        data_seed=recipe.seed,
        disable_tqdm=True,
        report_to=[],
        dataloader_pin_memory=not cpu,
        optim="adamw_torch",
    )


def _dataset(examples: Sequence[Example]) -> Dataset:
    return Dataset.from_dict(
        {"input_ids": [list(example.ids) for example in examples], "labels": [example.labels for example in examples]}
    )
