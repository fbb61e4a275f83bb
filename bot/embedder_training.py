"""`promptai finetune --what embedder`: shows the training of an embedder."""

from __future__ import annotations

import logging
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.training.embedder import Trained, Work, checkpoints_of, finetune
from pipeline.training.embedder_recipe import read_recipe

err = Console(stderr=True, highlight=False)

RECIPE = Path("manifests/training/embedder-minilm.yaml")
PAIRS = "pairs.jsonl"


def train(data: Path, out: Path, *, recipe: Path = RECIPE, base: str | None = None, fresh: bool = False) -> Trained:
    """Train on `data`'s pairs; `fresh` forgets the checkpoints of an earlier run. Raises `TrainingError`."""
    warnings.filterwarnings("ignore")  # the libraries' own, about arguments that are ours to choose
    logging.getLogger("transformers").setLevel(logging.ERROR)
    chosen = read_recipe(recipe)
    work = Work(data / PAIRS, out, replace(chosen, base=base) if base else chosen)
    if fresh:
        shutil.rmtree(checkpoints_of(out), ignore_errors=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("Starting …", total=None)
        trained = finetune(
            work,
            lambda done, total, what: bar.update(task, completed=done, total=total or None, description=what),
        )
    for line in summary(trained):
        err.print(line, markup=False)
    print(out)
    return trained


def summary(trained: Trained) -> list[str]:
    """What a person wants to know of it."""
    before, after = trained.before, trained.after
    lines = [
        f"{trained.pairs:,} pairs, {trained.hard_negatives:,} with a hard negative, {trained.steps:,} steps,"
        f" {trained.truncated:,} passages cut.",
        f"{trained.held_out:,} held-out pairs: MRR {before['mrr']:.3f} -> {after['mrr']:.3f}, recall@1"
        f" {before['recall@1']:.3f} -> {after['recall@1']:.3f}; {trained.mix:.0%} of the trained weights.",
    ]
    if after["mrr"] <= before["mrr"]:
        lines.append("Held-out passages are found no better than before: more pairs, or other questions, may help.")
    return lines
