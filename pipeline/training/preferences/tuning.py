"""`promptai finetune --what ratings`: rated answers and an adapter -> a better adapter, as a folder of its own.

Started again with the same ratings, recipe, base and adapter it goes on from the last checkpoint, or where the reference
was being asked.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import TrainingError
from pipeline.training import checkpoints
from pipeline.training.base import base_model, describe
from pipeline.training.checkpoints import Identity
from pipeline.training.dry_run import dimensions_of
from pipeline.training.encoding import encode
from pipeline.training.finetune import has_gpu, say_fit
from pipeline.training.manifest import Manifest
from pipeline.training.preferences.outcome import finish, finished, manifest_of, no_room
from pipeline.training.preferences.parent import check_parent
from pipeline.training.preferences.rows import Preferences, kept_labels, read_preferences, weights
from pipeline.training.preferences.run import Job, Run, Start
from pipeline.training.stopping import Stopped, stopping

_REFERENCE = "reference.json"
"""Beside the checkpoints: what the reference says of each row, as far as it was asked."""


def finetune(
    job: Job, report: Callable[[Any], None], say: Callable[[str], None], asked: Callable[[int, int], None]
) -> Manifest:  # fmt: skip
    """Train to the end; returns the new adapter's manifest.

    `report`: gets a `watching.Progress` after each step. `say`: gets a line for people. `asked`: rows that the reference was
    asked about, and of how many. Raises `TrainingError`, and `Stopped` after SIGINT or SIGTERM, with a checkpoint saved, or what
    the reference has said so far.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingError("Ratings are trained on one device: run the command without `accelerate launch`.")
    data = read_preferences(job.data, job.recipe)
    start = _start(job)
    told = start.parent.told if start.parent else None
    identity = Identity(data.hash, start.recipe.digest, start.base.sha256, told.sha256 if told else "")
    if done := finished(job, identity):
        say(f"{job.out} is trained already, from the same ratings, recipe, base and adapter. --fresh trains it again.")
        return done

    resume = checkpoints.begin(job.out / checkpoints.FOLDER, identity, fresh=job.fresh)
    run = _prepare(job, start, data, resume, report, say)
    with stopping(run.watch):
        _compare(run, job.out, asked)
        if run.watch.stopped:
            raise Stopped(checkpoints.step_of(resume))
        if resume:
            say(f"Going on from step {checkpoints.step_of(resume)}.")
        run.trainer.run(resume)
    if run.trainer.state.global_step < run.trainer.state.max_steps:
        raise Stopped(run.trainer.state.global_step)
    made = manifest_of(job, data, start, run)
    finish(job, run, made, data.rows, start.parent)
    return made


def _start(job: Job) -> Start:
    if job.adapter is not None and job.adapter.resolve() == job.out.resolve():
        raise TrainingError(
            "--out is the folder of --adapter: give another one, so that the old adapter can be gone back to."
        )
    folder = base_model(job.recipe.base, job.cache)
    base = describe(folder, job.recipe.base)
    if job.adapter is None:
        return Start(folder, base, job.recipe, None)
    parent = check_parent(job.adapter, base, dimensions_of(job.recipe, folder))
    return Start(folder, base, job.recipe.model_copy(update=parent.shape), parent)


def _prepare(
    job: Job, start: Start, data: Preferences, resume: Path | None,
    report: Callable[[Any], None], say: Callable[[str], None],
) -> Run:  # fmt: skip
    from pipeline.training.lora import load_tokenizer  # noqa: PLC0415 - what follows takes seconds to import
    from pipeline.training.preferences.model import load_policy  # noqa: PLC0415
    from pipeline.training.preferences.trainer import PreferenceTrainer, Rows, preference_arguments  # noqa: PLC0415
    from pipeline.training.watching import Log, Watch  # noqa: PLC0415

    recipe, folder = start.recipe, job.out / checkpoints.FOLDER
    tokenizer = load_tokenizer(start.folder)
    encoded = encode([rated.row for rated in data.rows], tokenizer, recipe.max_tokens)
    good = kept_labels(data, encoded.rows, recipe)
    balance = weights(sum(good), len(good) - sum(good), recipe.desirable_weight, recipe.undesirable_weight)
    _say_rows(data, good, balance, say)
    say_fit(encoded, say)
    log = Log(job.out / "log.jsonl")
    log.go_on_from(checkpoints.step_of(resume))
    watch = Watch(folder, log, report)
    args = preference_arguments(recipe, folder, balance, cpu=not has_gpu())
    model = load_policy(start.folder, recipe, start.parent)
    trainer = PreferenceTrainer(model, tokenizer, Rows(encoded.examples, good), recipe, args, [watch])
    return Run(trainer, encoded, good, log, watch, hashlib.sha256(tokenizer.chat_template.encode()).hexdigest())


def _say_rows(
    data: Preferences, good: Sequence[bool], balance: tuple[float, float], say: Callable[[str], None]
) -> None:  # fmt: skip
    left_out = f"; {data.left_out:,} of other modes or models left out" if data.left_out else ""
    ups, downs = sum(good), len(good) - sum(good)
    say(f"{ups:,} good and {downs:,} bad answers, weighing {balance[0]:.2f} and {balance[1]:.2f}{left_out}.")
    if data.writers:
        say(f"Models that took part in them: {', '.join(f'{name} in {count:,}' for name, count in data.writers)}.")


def _compare(run: Run, out: Path, asked: Callable[[int, int], None]) -> None:
    try:
        run.trainer.compare_with(out / checkpoints.FOLDER / _REFERENCE, asked, lambda: run.watch.stopped)
    except OSError as exc:
        raise no_room(out, exc) from exc
