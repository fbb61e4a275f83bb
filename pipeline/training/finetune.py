"""`promptai finetune`: rows and a recipe -> an adapter with its manifest, log and loss curve.

Started again with the same rows, recipe and base it goes on from the last checkpoint.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.errors import TrainingError
from pipeline.training import checkpoints, manifest
from pipeline.training.base import base_model, describe
from pipeline.training.checkpoints import Identity
from pipeline.training.curves import loss_curve
from pipeline.training.encoding import Encoded, Example, encode
from pipeline.training.manifest import Manifest
from pipeline.training.recipe import Recipe
from pipeline.training.rows import Row, Skill, corpus_hash, file_hash, read_rows
from pipeline.training.serving import write_probes
from pipeline.training.stopping import Stopped, stopping

TRAIN, HELD_OUT = "train.jsonl", "held-out.jsonl"
LOOKED_AT = 48
"""Held-out rows of each skill whose loss is looked at: enough for a curve, few enough to cost little beside training."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be trained."""

    data: Path
    """Folder of `promptai synthesize`."""
    recipe: Recipe
    out: Path
    """The adapter's folder."""
    cache: Path
    """Where converted bases are kept."""
    fresh: bool = False
    """Forget an earlier run in `out`."""


@dataclass(frozen=True, slots=True)
class Data:
    """The rows of a job."""

    train: tuple[Row, ...]
    held_out: tuple[Row, ...]
    hash: str
    corpus: str


def read_data(folder: Path, skills: Sequence[Skill]) -> Data:
    """The rows of `skills`. Raises `TrainingError`; held-out rows may be missing."""
    train, held_out = folder / TRAIN, folder / HELD_OUT
    files = [file for file in (train, held_out) if file == train or (file.is_file() and file.stat().st_size)]
    kept = [tuple(row for row in read_rows([file]) if row.skill in skills) for file in files]
    if not kept[0]:
        raise TrainingError(f"{train} has no rows of the skills {', '.join(skills)}: change the recipe's skills.")
    return Data(kept[0], kept[1] if len(kept) > 1 else (), file_hash(*files), corpus_hash(folder))


def finetune(job: Job, report: Callable[[Any], None], say: Callable[[str], None]) -> Manifest | None:
    """Train to the end; returns the adapter's manifest (on the first rank, where there are several).

    `report`: gets a `watching.Progress` after each step. `say`: gets a line for people. Raises `TrainingError`, and `Stopped`
    after SIGINT or SIGTERM, with a checkpoint saved.
    """
    data = read_data(job.data, job.recipe.skills)
    folder = base_model(job.recipe.base, job.cache)
    base = describe(folder, job.recipe.base)
    identity = Identity(data.hash, job.recipe.digest, base.sha256)
    if done := _finished(job, identity):
        say(f"{job.out} is trained already, from the same data, recipe and base. --fresh trains it again.")
        return done

    from accelerate import PartialState  # noqa: PLC0415 - what follows takes seconds to import

    from pipeline.training.lora import load_base, load_tokenizer  # noqa: PLC0415
    from pipeline.training.trainer import CompletionTrainer, training_arguments  # noqa: PLC0415
    from pipeline.training.watching import Log, Watch  # noqa: PLC0415

    ranks = PartialState()
    if not ranks.is_main_process:
        say = report = _nothing
    with ranks.main_process_first():
        fresh = job.fresh and ranks.is_main_process
        resume = checkpoints.begin(job.out / checkpoints.FOLDER, identity, fresh=fresh)
    tokenizer = load_tokenizer(folder)
    encoded = encode(data.train, tokenizer, job.recipe.max_tokens)
    held_out = _held_out(data, tokenizer, job.recipe)
    say_fit(encoded, say)
    log = Log(job.out / "log.jsonl")
    if ranks.is_main_process:
        log.go_on_from(checkpoints.step_of(resume))
    watch = Watch(job.out / checkpoints.FOLDER, log, report)
    args = training_arguments(job.recipe, job.out / checkpoints.FOLDER, cpu=not has_gpu())
    args.eval_on_start = bool(held_out) and resume is None
    model = load_base(folder, job.recipe)
    trainer = CompletionTrainer(model, tokenizer, encoded.examples, held_out, job.recipe, args, [watch])
    watch.agree = trainer.any_rank
    if resume:
        say(f"Going on from step {checkpoints.step_of(resume)}.")
    with stopping(watch):
        trainer.run(resume)
    if trainer.state.global_step < trainer.state.max_steps:
        raise Stopped(trainer.state.global_step)
    saved = job.out / checkpoints.FOLDER / "adapter"
    trainer.save_whole(saved)
    if not ranks.is_main_process:
        return None
    made = _manifest(job, data, base, encoded, trainer, log, tokenizer.chat_template)
    _finish(job, saved, log, made, data.train)
    return made


def _nothing(_: Any) -> None:
    """What the other ranks have to say."""


def _finish(job: Job, saved: Path, log: Any, made: Manifest, rows: Sequence[Row]) -> None:
    from pipeline.training.lora import save_adapter  # noqa: PLC0415

    try:
        save_adapter(saved, job.out, made.base.name)
        title = f"{made.name}: {made.steps:,} steps, {made.tokens:,} tokens"
        curve = loss_curve(log.curve("loss"), log.curve("held_out"), title=title)
        (job.out / "loss.svg").write_text(curve, encoding="utf-8")
        write_probes(job.out, rows)
        manifest.write(job.out, made)
    except OSError as exc:
        raise TrainingError(
            f"The adapter cannot be written to {job.out} ({exc.strerror or exc}). Make room and run the same command again: "
            "it goes on from the last checkpoint."
        ) from exc
    shutil.rmtree(job.out / checkpoints.FOLDER, ignore_errors=True)


def _manifest(
    job: Job, data: Data, base: Any, encoded: Encoded, trainer: Any, log: Any, template: str
) -> Manifest:  # fmt: skip
    losses = [loss for _, loss in log.curve("loss")]
    last = losses[-max(1, len(losses) // 10) :]
    looks = [line for line in log.lines if "held_out" in line]
    return Manifest(
        name=job.out.name,
        base=base,
        data=data.hash,
        corpus=data.corpus,
        skills=tuple(skill.value for skill in job.recipe.skills),
        recipe=job.recipe.model_dump(mode="json", exclude_none=True),
        seed=job.recipe.seed,
        steps=trainer.state.global_step,
        tokens=int(trainer.state.num_input_tokens_seen),
        loss=sum(last) / len(last),
        held_out=_by_skill(looks[-1]) if looks else {},
        held_out_before=_by_skill(looks[0]) if looks and looks[0]["step"] == 0 else {},
        rows={skill: asdict(fit) for skill, fit in encoded.fits.items()},
        seconds=round(log.seconds, 1),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        template=hashlib.sha256(template.encode()).hexdigest(),
        versions=manifest.versions(),
    )


def _by_skill(look: dict[str, float]) -> dict[str, float]:
    told = {key.removeprefix("held_out").removeprefix("_"): value for key, value in look.items() if key != "step"}
    return {key or "all": value for key, value in told.items()}


def _finished(job: Job, identity: Identity) -> Manifest | None:
    """The manifest of the same training, done before. Raises `TrainingError` where another one is in the folder."""
    if job.fresh or not (job.out / manifest.FILE).is_file():
        return None
    made = manifest.read(job.out)
    same = Recipe(**made.recipe).digest == identity.recipe
    if same and (made.data, made.base.sha256) == (identity.data, identity.base):
        return made
    raise TrainingError(
        f"{job.out} holds an adapter made from other data, another recipe or another base: give another --out, or "
        "--fresh to replace it."
    )


def _held_out(data: Data, tokenizer: Any, recipe: Recipe) -> dict[str, tuple[Example, ...]]:
    """Some held-out rows of each skill, evenly spaced through the file."""
    chosen: dict[str, tuple[Example, ...]] = {}
    for skill in recipe.skills:
        rows = [row for row in data.held_out if row.skill == skill]
        some = [rows[at * len(rows) // LOOKED_AT] for at in range(LOOKED_AT)] if len(rows) > LOOKED_AT else rows
        if some:
            chosen[skill.value] = encode(some, tokenizer, recipe.max_tokens).examples
    return chosen


def say_fit(encoded: Encoded, say: Callable[[str], None]) -> None:
    """Tell how the rows fitted into the window."""
    for skill, fit in encoded.fits.items():
        lost = f"; {fit.cut} cut at the end, {fit.left_out} left out" if fit.cut or fit.left_out else ""
        say(f"{skill}: {fit.rows:,} rows, the longest of {fit.longest:,} tokens{lost}.")
    share = encoded.trained_tokens / encoded.tokens
    say(f"{encoded.tokens:,} tokens an epoch, {share:.0%} of them with loss.")


def has_gpu() -> bool:
    """Whether PyTorch sees one."""
    import torch  # noqa: PLC0415

    return torch.cuda.is_available()
