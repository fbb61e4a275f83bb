"""The figures of the HyDE comparison: from what the systems reported and the model server saw to one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.frameworks.model_server import ModelServer
from benchmarks.retrieval import gain
from pipeline.evaluation.bootstrap import Bootstrap

BASELINE = "promptai, always"
"""What the differences are to."""
RECALL = 5


@dataclass(frozen=True)
class Row:
    """One variant of one system."""

    name: str
    settings: str
    gains: dict[str, float]
    """nDCG@10 of each question."""
    found: dict[str, bool]
    """Whether the question's page is among the first five."""
    first: list[float]
    """Seconds to the first text of the answer, as stated."""
    served: list[float]
    """Seconds of these in which the model server was computing."""
    processor: list[float]
    """The system's own processor seconds up to that text."""
    total: list[float]
    """Seconds to the answer's last text."""
    read: float
    """Tokens of prompts a question."""
    written: float
    """Tokens generated a question."""


def row(variant: Mapping[str, Any], gold: Mapping[str, str], server: ModelServer) -> Row:
    """The figures of one variant. `gold`: question id -> page."""
    read, busy = server.clock(variant["name"]), server.clock(variant["name"], idle=False)
    served = [each for each in server.served if each.model == variant["name"] and each.question in gold]
    asked = variant["asked"]
    return Row(
        variant["name"],
        variant["settings"],
        {each["question"]: gain(each["pages"], frozenset([gold[each["question"]]])) for each in asked},
        {each["question"]: gold[each["question"]] in each["pages"][:RECALL] for each in asked},
        [read(each["first"]) - read(each["began"]) for each in asked],
        [busy(each["first"]) - busy(each["began"]) for each in asked],
        [each["processor"] for each in asked],
        [read(each["ended"]) - read(each["began"]) for each in asked],
        sum(each.read for each in served) / len(asked),
        sum(each.written for each in served) / len(asked),
    )


def table(rows: Sequence[Row]) -> list[str]:
    """In Markdown."""
    baseline = next(each for each in rows if each.name == BASELINE)
    bootstrap = Bootstrap(list(baseline.gains))
    lines = [
        "| | nDCG@10 | to promptai, always | 95% | R@5 | first word, s: median / p90 | of it the server | own processor, ms"
        " | whole answer, s | tokens read | written |",
        "|" + "---|" * 11,
    ]
    for each in rows:
        difference, low_high = "", ""
        if each is not baseline:
            estimate = bootstrap.difference(_scores(each), _scores(baseline), baseline.gains)
            assert estimate is not None
            difference, low_high = f"{estimate.value:+.3f}", f"{estimate.low:+.3f} to {estimate.high:+.3f}"
        cells = [
            each.name,
            f"{np.mean(list(each.gains.values())):.3f}",
            difference,
            low_high,
            f"{np.mean(list(each.found.values())):.3f}",
            f"{np.median(each.first):.2f} / {np.quantile(each.first, 0.9):.2f}",
            f"{np.median(each.served):.2f} / {np.quantile(each.served, 0.9):.2f}",
            f"{np.median(each.processor) * 1000:.0f}",
            f"{np.median(each.total):.2f} / {np.quantile(each.total, 0.9):.2f}",
            f"{each.read:.0f}",
            f"{each.written:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _scores(of: Row) -> dict[str, tuple[float, float]]:
    return {question: (value, 1.0) for question, value in of.gains.items()}
