"""The data folder: rows, pairs, and a manifest that comes last, so that a folder without one is unfinished."""

from __future__ import annotations

import contextlib
import errno
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import TrainingError
from pipeline.training.rows import Row, file_hash, write_rows
from pipeline.training.synthesis.making import Made

TRAIN, HELD_OUT, PAIRS = "train.jsonl", "held-out.jsonl", "pairs.jsonl"
MANIFEST, REPORT, SAMPLE = "manifest.json", "report.md", "sample.html"


def write(folder: Path, made: Made, facts: Mapping[str, Any], pages: Mapping[str, str]) -> dict[str, Any]:
    """Write everything, return the manifest. `pages`: file name -> text.

    Raises `TrainingError` where the disk is full or the folder cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        write_rows(folder / TRAIN, made.train)
        write_rows(folder / HELD_OUT, made.held_out)
        write_text(folder / PAIRS, "".join(pair.line() for pair in made.pairs))
        for name, text in pages.items():
            write_text(folder / name, text)
        sizes = {TRAIN: len(made.train), HELD_OUT: len(made.held_out), PAIRS: len(made.pairs)}
        files = {name: {"sha256": file_hash(folder / name), "rows": rows} for name, rows in sizes.items()}
        manifest = {**facts, "files": files, "counts": counts([*made.train, *made.held_out])}
        write_text(folder / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def counts(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """Rows by skill, by kind within each skill, and by generator."""
    told: dict[str, Counter[str]] = {"skill": Counter(row.skill for row in rows)}
    for skill in sorted(told["skill"]):
        told[f"kind of {skill}"] = Counter(row.kind for row in rows if row.skill == skill)
    told["generator"] = Counter(row.provenance.generator for row in rows)
    return {name: dict(sorted(found.items())) for name, found in told.items()}


def write_text(file: Path, text: str) -> None:
    """Write `file` whole or not at all."""
    unfinished = file.with_name(file.name + ".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Translates errors of the disk; half-written files are removed."""
    try:
        yield
    except OSError as exc:
        with contextlib.suppress(OSError):
            for file in folder.glob("*.unfinished"):
                file.unlink(missing_ok=True)
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TrainingError(
                f"The disk of {folder} is full. Free some space and run the same command again: "
                "what a model has written so far is kept in generated.jsonl and is not asked for twice."
            ) from exc
        raise TrainingError(f"{folder} cannot be written ({exc.strerror or exc}). Name another --out.") from exc
