"""What the trainers of adapters have in common: how they run, end, and save."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import Trainer
from transformers.trainer_callback import TrainerCallback

from pipeline.errors import TrainingError
from pipeline.training import checkpoints
from pipeline.training.recipe import Training


class Batches(Protocol):
    """A batch sampler with a choice for each epoch."""

    def choose(self, epoch: int) -> None: ...


class Epochs(TrainerCallback):
    """Chooses each epoch's batches, also after a checkpoint."""

    def __init__(self, batches: Batches, steps: int) -> None:
        """`steps`: of one epoch."""
        self._batches, self._steps = batches, steps

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._batches.choose(state.global_step // self._steps)


class CarefulTrainer(Trainer):
    """Mixed in before one of `trl`'s trainers: a full disk leaves the last checkpoint whole, and nothing is half written."""

    def run(self, resume: Path | None) -> None:
        """Train to the end, or until the watch says stop. Raises `TrainingError` where the disk has no room.

        The last whole checkpoint stays then; what was written of another one is removed.
        """
        try:
            self.train(resume_from_checkpoint=str(resume) if resume else None)
        except torch.OutOfMemoryError as exc:
            raise TrainingError(
                f"The GPU's memory is full: lower batch_tokens (on ratings: batch), or use fewer tokens a row. ({exc})"
            ) from exc

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

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """The manifest says more."""

    def _send_telemetry(self) -> None:
        """What a company trains, and on what hardware, is told to nobody; `trl` would tell the Hugging Face Hub."""


def shared_arguments(recipe: Training, folder: Path, *, cpu: bool) -> dict[str, Any]:
    """What `transformers` is told about any training. `folder`: where checkpoints go."""
    return {
        "output_dir": str(folder),
        "use_cpu": cpu,
        "bf16": recipe.precision == "bf16" and not cpu,  # on a CPU our own loss does the autocast
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.schedule,
        "warmup_ratio": recipe.warmup,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "num_train_epochs": recipe.epochs,
        "max_steps": recipe.max_steps or -1,
        "gradient_accumulation_steps": recipe.accumulation,
        "max_length": None,
        "save_steps": recipe.save_steps,
        "save_total_limit": 2,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "include_num_input_tokens_seen": "non_padding",
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "disable_tqdm": True,
        "report_to": [],
        "dataloader_pin_memory": not cpu,
        "optim": "adamw_torch",
    }
