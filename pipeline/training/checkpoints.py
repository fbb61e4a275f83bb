"""Checkpoints of a run: which one to go on from, and whether it is this run's."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import TrainingError

FOLDER = "checkpoints"
"""Inside the adapter's folder; removed when the adapter is finished."""
_RUN = "run.json"
_COMPLETE = "complete"
"""Written into a checkpoint last: one without it was being written when the process died."""
_NAME = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True, slots=True)
class Identity:
    """What must not change between two starts of one run."""

    data: str
    """Hash of the rows' files."""
    recipe: str
    """`Recipe.digest`."""
    base: str
    """Hash of the base's weights."""
    parent: str = ""
    """Of the weights of the adapter that training starts from; empty where it starts from the base."""


def begin(folder: Path, identity: Identity, *, fresh: bool) -> Path | None:
    """The checkpoint to go on from, or None for a run from the start. Half-written checkpoints are removed.

    Raises `TrainingError` where `folder` belongs to another run and `fresh` does not say to forget it.
    """
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    run = folder / _RUN
    if run.is_file():
        _compare(run, identity)
    folder.mkdir(parents=True, exist_ok=True)
    run.write_text(json.dumps(asdict(identity)) + "\n")
    for checkpoint in checkpoints(folder):
        if (checkpoint / _COMPLETE).is_file():
            return checkpoint
        shutil.rmtree(checkpoint, ignore_errors=True)
    return None


def complete(folder: Path, step: int) -> None:
    """The checkpoint of `step` is written: mark it."""
    (folder / f"checkpoint-{step}" / _COMPLETE).touch()


def discard(folder: Path, step: int) -> None:
    """Remove what was written of a checkpoint that could not be finished, so that the disk has room again."""
    shutil.rmtree(folder / f"checkpoint-{step}", ignore_errors=True)


def checkpoints(folder: Path) -> list[Path]:
    """All of them, the newest first."""
    found = [(int(match[1]), path) for path in folder.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def step_of(checkpoint: Path | None) -> int:
    """Steps done at a checkpoint; 0 without one."""
    return 0 if checkpoint is None else int(checkpoint.name.partition("-")[2])


def _compare(run: Path, identity: Identity) -> None:
    try:
        before = Identity(**json.loads(run.read_text()))
    except (ValueError, TypeError) as exc:
        raise TrainingError(f"{run} cannot be read: begin anew with --fresh, or give another --out.") from exc
    names = {
        "data": "the data",
        "recipe": "the recipe",
        "base": "the base model",
        "parent": "the adapter it starts from",
    }
    changed = [name for key, name in names.items() if getattr(before, key) != getattr(identity, key)]
    if changed:
        raise TrainingError(
            f"{run.parent.parent} holds an unfinished run, and {' and '.join(changed)} changed since: begin anew with "
            "--fresh, give another --out, or put back what changed to go on."
        )
