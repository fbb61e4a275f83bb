"""Some rows for a person to read, as one HTML page that needs nothing else. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from pipeline.training.rows import Row, Skill
from pipeline.training.synthesis.examples import share

_SIZE = 50


def sample(rows: Sequence[Row]) -> str:
    """50 rows, the same ones each time, both skills in the shares that they have."""
    chosen = sorted(rows, key=lambda row: share("sample", row.skill, row.question))[:_SIZE]
    style = files("pipeline.training.synthesis").joinpath("sample.css").read_text(encoding="utf-8")
    body = "\n".join(_row(number, row) for number, row in enumerate(chosen, start=1))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Training data: a sample</title><style>{style}</style></head><body><main>"
        f"<h1>Training data: {len(chosen)} of {len(rows):,} rows</h1>"
        "<p>Would you want the model to write this? A draft need not be a good answer: it has to name the right page in the "
        "documentation’s words. A grounded answer has to follow from the passages above it.</p>\n"
        f"{body}\n</main></body></html>\n"
    )


def _row(number: int, row: Row) -> str:
    passages, _, asked = (
        row.question.rpartition("\n\nQuestion: ") if row.skill is Skill.ANSWER else ("", "", row.question)
    )
    context = f"<details><summary>passages</summary><pre>{escape(passages)}</pre></details>" if passages else ""
    origin = row.provenance
    scores = ", ".join(f"{name} {score:g}" for name, score in origin.scores.items())
    return (
        f'<article class="{escape(row.skill)}"><header><b>{number}</b><span class="skill">{escape(row.skill)}</span>'
        f"<span>{escape(row.kind)}</span><span>{escape(origin.generator)}</span></header>"
        f'<p class="asked">{escape(asked)}</p>{context}<pre class="told">{escape(row.text)}</pre>'
        f"<footer>{escape(origin.document)} · {escape(origin.version)}{' · ' + escape(scores) if scores else ''}</footer></article>"
    )
