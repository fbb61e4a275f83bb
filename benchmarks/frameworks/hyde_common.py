"""What the systems of the HyDE comparison share; standard library and numpy, since each runs in an environment of its own."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

HITS = 50
"""Passages ranked, so that ten pages are among them."""
PASSAGES = 5
"""Passages that the answer is written from, in every system."""
DRAFT_TOKENS = 96
"""What promptai lets a draft have; the others' `short` variants get the same."""
WARM = "How do I begin?"
"""Asked first, and not counted."""


@dataclass(frozen=True)
class Job:
    """What a system is asked to do."""

    passages: list[dict[str, str]]
    """Records of `id`, `page` and `text`: what promptai's sync made of the pages."""
    vectors: Any
    """Of the passages, shape (passages, dimensions)."""
    questions: list[dict[str, str]]
    """Records of `id` and `question`."""
    model: str
    """Folder of the sentence-transformers model."""
    url: str
    """Of the model server."""
    index: Path
    """The data folder that promptai synced into."""
    scratch: Path
    """For a system's own index."""
    out: Path


@dataclass(frozen=True)
class Asked:
    """One question, and when what happened, by `time.monotonic`."""

    question: str
    """Its id."""
    began: float
    first: float
    """The first text of the answer was there."""
    ended: float
    processor: float
    """Seconds of the system's own processor time up to the first text."""
    pages: list[str]
    """Of the ranked passages, best first, each once."""


Ask = Callable[[str, Callable[[], None]], Sequence[str]]
"""Answers a question, calls back at each text of the answer, and returns the pages of its ranked passages."""


class Results:
    """What the variants of one system did; written after each."""

    def __init__(self, task: Job) -> None:
        self._task = task
        self._variants: list[dict[str, Any]] = []

    def ask_all(self, name: str, settings: str, ask: Ask) -> None:
        """All questions, one after the other. `name`: the variant's, as which it also asks the model server."""
        _timed("", WARM, ask)
        asked = [asdict(_timed(each["id"], each["question"], ask)) for each in self._task.questions]
        self._variants.append({"name": name, "settings": settings, "asked": asked})
        self._task.out.write_text(json.dumps(self._variants))


def job() -> Job:
    """Read the command line of a system's script."""
    parser = argparse.ArgumentParser()
    for name in ("passages", "vectors", "questions", "index", "scratch", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("model", "url"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    passages, questions = _lines(given.passages), _lines(given.questions)
    vectors = np.load(given.vectors)
    return Job(passages, vectors, questions, given.model, given.url, given.index, given.scratch, given.out)


def _timed(key: str, question: str, ask: Ask) -> Asked:
    seen: list[tuple[float, float]] = []
    began, processor = time.monotonic(), time.process_time()
    pages = ask(question, lambda: seen.append((time.monotonic(), time.process_time())))
    first, ended = seen[0], seen[-1]
    return Asked(key, began, first[0], ended[0], first[1] - processor, list(dict.fromkeys(pages)))


def _lines(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
