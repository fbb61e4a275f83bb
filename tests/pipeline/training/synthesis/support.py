"""A small documentation, and runs over it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.knowledge.passages import Splitter
from pipeline.retrieval import HashingEmbedder
from pipeline.training.rows import Row, read_rows
from pipeline.training.synthesis.filters import Dropped
from pipeline.training.synthesis.making import Shape
from pipeline.training.synthesis.pages import Corpus, corpus_of
from pipeline.training.synthesis.session import Plan, finish, given, read_inputs
from pipeline.training.synthesis.template import ChatTemplate
from pipeline.types import SHARED, Document

METRIC = """# {name}

{name} is {what}.

| Property | Value |
| --- | --- |
| Identifier | `{code}` |
| Family | {family} |

## Definition

{name} is taken over {seconds} seconds after the first frame. It is **never** rounded; see [limits](../limits.md).

## What it excludes

- Plays shorter than {seconds} seconds.
- Advertising of {family}.

## Good range

| Content type | Good | Investigate |
| --- | --- | --- |
| Live events | below {low}% | above {high}% |
| On demand | below 2.5% | above 7% |
"""
PAGES = {
    "metrics/stall-ratio.md": METRIC.format(
        name="Stall Ratio", what="the part of viewing time during which the picture stood still", code="stall_ratio",
        family="Continuity", seconds=12, low="0.40", high="1.10",
    ),
    "metrics/start-failures.md": METRIC.format(
        name="Start Failures", what="the share of attempts that never showed a frame", code="start_failures",
        family="Startup", seconds=15, low="0.70", high="3.00",
    ),
    "metrics/frame-drops.md": METRIC.format(
        name="Frame Drops", what="the share of frames that the device threw away", code="frame_drops",
        family="Continuity", seconds=20, low="0.90", high="4.20",
    ),
    "metrics/rebuffer-count.md": METRIC.format(
        name="Rebuffer Count", what="how many interruptions a viewer saw", code="rebuffer_count",
        family="Continuity", seconds=25, low="0.95", high="5.20",
    ),
    "errors/pg-1204.md": "# PG-1204: Too many redirects\n\nThe manifest led through a chain of redirects.\n\n"
    "## What to do\n\nFetch the manifest from the country of the viewer and remove one redirect from the chain.\n",
    "limits.md": "# Limits\n\nLimits protect the service.\n\n## Per API key\n\n- Rate: 180 requests per minute.\n"
    "- Burst: 40 requests.\n\nA key ends 400 days after it was made.\n",
}  # fmt: skip
TEMPLATE = ChatTemplate("{% for message in messages %}{{ message.content }}{% endfor %}", "test")


def small_corpus(pages: Mapping[str, str] = PAGES) -> Corpus:
    """The pages as retrieval would cut them."""
    splitter = Splitter(HashingEmbedder())
    return corpus_of(
        [
            passage
            for location, text in pages.items()
            for passage in splitter.split(
                Document(f"docs:{location}", SHARED, "docs", location, text.split("\n")[0].lstrip("# "), text, "")
            )
        ]
    )


def json_lines(file: Path, *records: Mapping[str, Any]) -> Path:
    """Write the records, one a line."""
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


def synthesise(plan: Plan, corpus: Corpus | None = None) -> dict[str, Any]:
    """A whole run without a model; the manifest."""
    corpus = corpus or small_corpus()
    inputs = read_inputs(plan)
    dropped = Dropped()
    examples = given(plan, inputs, corpus, dropped)
    return finish(plan, inputs, corpus, examples, dropped, template=TEMPLATE, generator={}, date="2026-11-25")


def rows_of(plan: Plan) -> tuple[Row, ...]:
    """All rows that a run wrote."""
    files = [plan.out / name for name in ("train.jsonl", "held-out.jsonl")]
    return read_rows([file for file in files if file.read_text(encoding="utf-8")])


def a_plan(folder: Path, *, shape: Shape | None = None, **options: Any) -> Plan:
    """A plan that writes to `folder`."""
    return replace(Plan(folder), shape=shape or Shape(), **options)
