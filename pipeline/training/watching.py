"""What happens around the steps: log, progress, checkpoints marked, a stop that is asked for, a loss that is no number."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from pipeline.errors import TrainingError
from pipeline.training import checkpoints


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training is."""

    step: int
    steps: int
    """Of all."""
    loss: float
    """Of the last step, nats a token."""
    held_out: float | None
    """Of the last look at the held-out rows."""
    tokens_per_second: float
    """Of the last ten steps; without padding."""
    seconds_left: float
    margin: float | None = None
    """On ratings: reward of good answers less that of bad ones, of the last step that had both."""


Report = Callable[[Progress], None]

PREFERENCES = ("rewards/chosen", "rewards/rejected", "rewards/margins", "kl")
"""What training on ratings tells besides its loss (`trl`'s names)."""


@dataclass(slots=True)
class Log:
    """`log.jsonl`: one line a step, one for each look at held-out rows. Kept in memory as well: the plot is made of it."""

    file: Path
    lines: list[dict[str, float]] = field(default_factory=list)

    def go_on_from(self, step: int) -> None:
        """Keep the lines up to `step`, as an earlier start of this run wrote them."""
        if step and self.file.is_file():
            told = [json.loads(line) for line in self.file.read_text().splitlines() if line.endswith("}")]
            self.lines = [line for line in told if line["step"] <= step]
        self.file.write_text("".join(json.dumps(line) + "\n" for line in self.lines))

    def add(self, line: dict[str, float]) -> None:
        self.lines.append(line)
        with self.file.open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    def curve(self, key: str) -> list[tuple[int, float]]:
        """(step, value) of the lines that have `key`."""
        return [(int(line["step"]), line[key]) for line in self.lines if key in line]

    @property
    def seconds(self) -> float:
        """Spent in steps."""
        return sum(line.get("seconds", 0.0) for line in self.lines)


class Watch(TrainerCallback):
    """Watches one run. Set `stopped` to end after the step in progress, with a checkpoint."""

    def __init__(self, folder: Path, log: Log, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        """`folder`: of the checkpoints."""
        self.stopped = False
        self.agree: Callable[[bool], bool] = bool
        """Whether any rank was asked to stop: all of them have to save together."""
        self._folder, self._log, self._report, self._clock = folder, log, report, clock
        self._began = self._seconds = 0.0
        self._held_out: float | None = None

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began = self._clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        self._seconds = self._clock() - self._began
        if state.global_step % args.save_steps == 0 or state.global_step >= state.max_steps:
            control.should_evaluate = True
        if self.agree(self.stopped):
            control.should_save = control.should_training_stop = True
        return control

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        logs: dict[str, float] = kwargs["logs"]
        if not state.is_world_process_zero or "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise TrainingError(
                f"The loss became {logs['loss']} at step {state.global_step}: lower learning_rate, or raise warmup."
            )
        tokens = int(state.num_input_tokens_seen)
        line = {"step": state.global_step, "epoch": logs["epoch"], "loss": logs["loss"]}
        line |= {"learning_rate": logs["learning_rate"], "grad_norm": logs["grad_norm"]}
        line |= {key: logs[key] for key in PREFERENCES if key in logs}
        line |= {"tokens": tokens, "seconds": round(self._seconds, 3)}
        self._log.add(line)
        self._tell(state)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero and kwargs["metrics"]:
            told = {key.replace("eval_loss", "held_out"): value for key, value in kwargs["metrics"].items()}
            self._held_out = told["held_out"]
            self._log.add({"step": state.global_step, **told})

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            checkpoints.complete(self._folder, state.global_step)

    def _tell(self, state: Any) -> None:
        steps = [line for line in self._log.lines if "loss" in line][-11:]
        seconds = sum(line["seconds"] for line in steps[1:]) or steps[-1]["seconds"]
        tokens = steps[-1]["tokens"] - (steps[0]["tokens"] if len(steps) > 1 else 0)
        each = seconds / max(1, len(steps) - 1)
        left = (state.max_steps - state.global_step) * each
        margin = next((line["rewards/margins"] for line in reversed(steps) if "rewards/margins" in line), None)
        now = (state.global_step, state.max_steps, steps[-1]["loss"], self._held_out, tokens / seconds, left, margin)
        self._report(Progress(*now))
