"""The folder that a training on ratings leaves: the adapter, its manifest, loss curve and probes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import TrainingError
from pipeline.training import checkpoints, manifest
from pipeline.training.checkpoints import Identity
from pipeline.training.curves import loss_curve
from pipeline.training.manifest import Manifest
from pipeline.training.preferences.parent import Improved
from pipeline.training.preferences.recipe import PreferenceRecipe
from pipeline.training.preferences.rows import Preference, Preferences
from pipeline.training.preferences.run import Job, Run, Start
from pipeline.training.rows import Skill
from pipeline.training.serving import CHECK, write_probes

_REWARDS = {"good": "rewards/chosen", "bad": "rewards/rejected"}


def finish(job: Job, run: Run, made: Manifest, rows: Sequence[Preference], parent: Improved | None) -> None:
    """Write the folder. Raises `TrainingError` where there is no room; the checkpoints stay then."""
    from pipeline.training.lora import save_adapter  # noqa: PLC0415 - seconds of imports

    saved = job.out / checkpoints.FOLDER / "adapter"
    try:
        run.trainer.save_model(str(saved))
        save_adapter(saved, job.out, made.base.name)
        title = f"{made.name}: {made.steps:,} steps, {made.tokens:,} tokens"
        curve = loss_curve(run.log.curve("loss"), [], title=title, unit=f"loss a row ({job.recipe.loss})")
        (job.out / "loss.svg").write_text(curve, encoding="utf-8")
        if parent and (parent.folder / CHECK).is_file():  # it answers so still, or nearly: see `serving`
            shutil.copyfile(parent.folder / CHECK, job.out / CHECK)
        else:
            write_probes(job.out, [rated.row for rated in rows if rated.good])
        manifest.write(job.out, made)
    except OSError as exc:
        raise no_room(job.out, exc) from exc
    shutil.rmtree(job.out / checkpoints.FOLDER, ignore_errors=True)


def no_room(out: Path, exc: OSError) -> TrainingError:
    """What to do about a disk that is full."""
    return TrainingError(
        f"{out} cannot be written to ({exc.strerror or exc}). Make room and run the same command again: it goes on from the last "
        "checkpoint."
    )


def manifest_of(job: Job, data: Preferences, start: Start, run: Run) -> Manifest:
    """What the training was made of and how it went."""
    state, good = run.trainer.state, sum(run.good)
    fits = {skill: asdict(fit) for skill, fit in run.encoded.fits.items()}
    return Manifest(
        name=job.out.name,
        base=start.base,
        data=data.hash,
        corpus="",
        skills=start.parent.skills if start.parent else (Skill.ANSWER.value,),
        recipe=start.recipe.model_dump(mode="json", exclude_none=True),
        seed=job.recipe.seed,
        steps=state.global_step,
        tokens=int(state.num_input_tokens_seen),
        loss=_last(run.log.curve("loss")),
        held_out={},
        held_out_before={},
        rows={**fits, "rated": {"good": good, "bad": len(run.good) - good}},
        seconds=round(run.log.seconds, 1),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        template=run.template,
        versions=manifest.versions(),
        parent=start.parent.told if start.parent else None,
        rewards=_rewards(run.log),
    )


def _rewards(log: Any) -> dict[str, float]:
    ends = {name: _last(log.curve(key)) for name, key in _REWARDS.items()}
    return {**ends, "margin": ends["good"] - ends["bad"]}


def _last(curve: Sequence[tuple[int, float]]) -> float:
    """Mean of the last tenth."""
    values = [value for _, value in curve][-max(1, len(curve) // 10) :]
    return sum(values) / len(values) if values else 0.0


def finished(job: Job, identity: Identity) -> Manifest | None:
    """The manifest of the same training, done before. Raises `TrainingError` where another one is in the folder."""
    if job.fresh or not (job.out / manifest.FILE).is_file():
        return None
    made = manifest.read(job.out)
    try:
        digest = PreferenceRecipe(**made.recipe).digest
    except ValidationError:  # of another kind of training
        digest = ""
    parent = made.parent.sha256 if made.parent else ""
    if Identity(made.data, digest, made.base.sha256, parent) == identity:
        return made
    raise TrainingError(
        f"{job.out} holds an adapter made from other data, another recipe, base or adapter: give another --out, or --fresh to "
        "replace it."
    )
