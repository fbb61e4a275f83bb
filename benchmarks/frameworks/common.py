"""What the scripts of all frameworks share; standard library only, since each runs in an environment of its own."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PAGES = 10
HITS = 50
"""Passages asked for, so that ten pages are among them."""


@dataclass(frozen=True)
class Result:
    """What one framework did."""

    name: str
    version: str
    settings: str
    passages: int
    ingest_seconds: float
    ingest_cpu_seconds: float
    latencies: list[float]
    """Milliseconds, one question at a time, in the order of the questions."""
    latencies_cpu: list[float]
    """Milliseconds of processor time."""
    ranks: list[int | None]
    """1-based rank of each question's page, None where it is not among the first ten."""


@dataclass(frozen=True)
class Job:
    """What a script is asked to do."""

    pages: list[dict[str, str]]
    """Records of `page` (URL), `title` and `text` (Markdown)."""
    questions: list[dict[str, Any]]
    """Records of `question` and `page`."""
    model: str
    """Folder of the sentence-transformers model."""
    scratch: Path
    """An empty folder for the indexes."""
    out: Path


def job() -> Job:
    """Read the command line of a framework's script."""
    parser = argparse.ArgumentParser()
    for name in ("pages", "questions", "scratch", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--model", required=True)
    options = parser.parse_args()
    return Job(_lines(options.pages), _lines(options.questions), options.model, options.scratch, options.out)


class Stopwatch:
    """Seconds and processor seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


def ask_all(questions: Sequence[dict[str, Any]], retrieve: Callable[[str], list[str]]) -> dict[str, Any]:
    """Time `retrieve`, which returns the pages of its passages, best first, and rank each question's page."""
    for question in questions[:5]:
        retrieve(question["question"])  # warm
    wall, cpu, ranks = list[float](), list[float](), list[int | None]()
    for question in questions:
        watch = Stopwatch()
        found = retrieve(question["question"])
        seconds, processor = watch.read()
        wall.append(seconds * 1000)
        cpu.append(processor * 1000)
        pages = list(dict.fromkeys(found))[:PAGES]
        ranks.append(pages.index(question["page"]) + 1 if question["page"] in pages else None)
    return {"latencies": wall, "latencies_cpu": cpu, "ranks": ranks}


def write(result: Result, out: Path) -> None:
    out.write_text(json.dumps(asdict(result)))


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
