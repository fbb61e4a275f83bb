"""What a run made, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.training.synthesis.filters import Dropped
from pipeline.training.synthesis.making import Made
from pipeline.training.synthesis.output import counts
from pipeline.training.synthesis.tokens import estimate

_ABOUT = {
    "faithful": "a number, identifier or name of the answer, or too many of its words, are not in its passages",
    "language": "question or answer in another language than the passages",
    "leak": "like a held-out evaluation question",
    "length": "question or answer too long, or without words",
    "near-duplicate": "nearly the same question as another",
    "row-tokens": "the grounded row would not fit --row-tokens",
    "specific": "could be asked of any page, or shares no word with its own",
    "unknown-seed": "a seed whose page is not among the documents",
}


def report(facts: Mapping[str, Any], made: Made, dropped: Dropped) -> str:
    """The whole page."""
    rows = [*made.train, *made.held_out]
    tokens = sum(estimate(row.question) + estimate(row.text) for row in rows)
    corpus = facts["corpus"]
    parts = [
        "# Training data\n",
        f"{len(made.train):,} rows to train on, {len(made.held_out):,} held out for the loss, {len(made.pairs):,} pairs for the "
        f"embedder; about {tokens:,} tokens of questions, passages and completions. From {corpus['documents']:,} documents "
        f"({corpus['passages']:,} passages). Read some of them in `sample.html`.\n",
    ]
    if not facts["held_out_questions"]:
        parts.append(
            "**No evaluation questions were held out** (`--held-out`): what is measured with them later may be memorised.\n"
        )
    if not facts["chat_template"]["text"]:
        parts.append(f"**No chat template is pinned** ({facts['chat_template']['source']}).\n")
    for name, found in counts(rows).items():
        parts.append(_table(("by " + name, "rows"), [(key, f"{count:,}") for key, count in found.items()]))
    parts.append(_drops(dropped))
    if told := facts["generator"]:
        parts.append(_table(("generator", ""), [(str(key), str(value)) for key, value in told.items()]))
    return "\n".join(parts)


def _drops(dropped: Dropped) -> str:
    if not dropped.counts:
        return "Nothing was dropped.\n"
    lines = ["## Dropped\n"]
    for name, count in sorted(dropped.counts.items()):
        lines.append(f"**{name}: {count:,}** ({_ABOUT.get(name, 'see the command')})")
        lines += [f"- {_code(text)}" for text in dropped.shown[name]]
        lines.append("")
    return "\n".join(lines)


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "| --- | --: |"]
    return "\n".join([*lines, *(f"| {_cell(key)} | {_cell(value)} |" for key, value in rows), ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _code(text: str) -> str:
    """As code, whatever the text holds."""
    mark = "`" * (1 + max((len(run) for run in text.split() if set(run) == {"`"}), default=0) + text.count("`"))
    return f"{mark} {text} {mark}"
