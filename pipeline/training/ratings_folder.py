"""The folder of `promptai ratings dataset`: kto.jsonl, sft.jsonl, manifest.json and a report for a person."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.errors import TrainingError
from pipeline.training.rated import Consent
from pipeline.training.ratings import RatingsData
from pipeline.training.rows import file_hash
from pipeline.training.scrubbing import VERSION

KTO, SFT, MANIFEST, REPORT = "kto.jsonl", "sft.jsonl", "manifest.json", "report.md"
FEW = 100
"""KTO rows below which the report advises against training on them alone."""


@dataclass(frozen=True, slots=True)
class About:
    """How the data came about."""

    made_at: datetime
    consents: Mapping[str, Consent]
    """Tenants whose ratings were read."""
    without_consent: int
    """Rated answers of other tenants, of which nothing was read but that they are there."""
    held_out: Sequence[Path]
    """Files of evaluation questions."""
    questions: int
    """Evaluation questions in them."""
    tenant: str | None
    """The one tenant that was asked for."""
    small_model: bool


def write_folder(out: Path, data: RatingsData, about: About) -> dict[str, Any]:
    """Write the four files, each whole or not at all; returns the manifest. Raises `TrainingError` where that fails."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, rows in ((KTO, data.kto), (SFT, data.sft)):
            _write(out / name, "".join(row.line for row in rows))
        manifest = _manifest(out, data, about)
        _write(out / MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=2) + "\n")
        _write(out / REPORT, report(manifest))
    except OSError as exc:
        raise TrainingError(
            f"{out} cannot be written ({exc.strerror}). Free some space or choose another --out."
        ) from exc
    return manifest


def report(manifest: Mapping[str, Any]) -> str:
    """The manifest in words."""
    kto, sft = manifest["kto"], manifest["sft"]
    lines = [
        "# Training data from ratings",
        "",
        f"{manifest['answers']:,} rated answers of {', '.join(manifest['tenants']) or 'no tenant'} were read"
        f" on {manifest['made_at'][:10]}; {manifest['without_consent']:,} of tenants that have not agreed were not.",
        "",
        *_table(
            "Rows", "Count",
            {
                "kto.jsonl, good": kto["good"],
                "kto.jsonl, bad": kto["bad"],
                **{f"sft.jsonl, {name}": count for name, count in sft.items()},
            },
        ),
        *_advice(kto["good"], kto["bad"]),
        *_table("Left out because", "Count", manifest["dropped"]),
        *_table("Scrubbed", "Count", manifest["scrubbed"]),
    ]  # fmt: skip
    if not manifest["held_out"]["files"]:
        lines += [
            "**No evaluation questions were held out.** Give the files that adapters are judged by: --held-out FILE.",
            "",
        ]
    return "\n".join(lines)


def _manifest(out: Path, data: RatingsData, about: About) -> dict[str, Any]:
    labels = Counter(row.row["label"] for row in data.kto)
    return {
        "kind": "ratings",
        "made_at": about.made_at.isoformat(),
        "files": {name: file_hash(out / name) for name in (KTO, SFT)},
        "answers": data.answers,
        "tenants": {
            name: {"consent": consent.id, "at": consent.at.isoformat()}
            for name, consent in sorted(about.consents.items())
        },
        "tenant": about.tenant,
        "without_consent": about.without_consent,
        "kto": {"good": labels[True], "bad": labels[False]},
        "sft": _counts(Counter(f"{row.row['skill']}, {row.row['kind']}" for row in data.sft)),
        "dropped": _counts(data.dropped),
        "scrubbing": VERSION,
        "scrubbed": _counts(data.scrubbed),
        "held_out": {
            "files": {file.name: file_hash(file) for file in about.held_out},
            "questions": about.questions,
        },
        "small_model": about.small_model,
    }


def _advice(good: int, bad: int) -> list[str]:
    """Whether the rows suffice, and the weights that make up for unequal numbers: equation 8 of the KTO paper."""
    if not good or not bad:
        return ["KTO needs good and bad answers: there are not both, so train on sft.jsonl only.", ""]
    few = f" These are few: under {FEW} rows one person's taste decides." if good + bad < FEW else ""
    if good == bad:
        return [f"Good and bad are as many: they weigh the same.{few}", ""]
    which, ratio = ("undesirable_weight", good / bad) if good > bad else ("desirable_weight", bad / good)
    low = ratio / 4 * 3 if good > bad else ratio
    range_ = f"between {low:.2f} and {low * 4 / 3:.2f}"
    return [
        f"Good and bad are not as many. `promptai finetune --what ratings` weighs them; `trl`'s own command wants `{which}` {range_},"
        f" and the other at 1.{few}",
        "",
    ]


def _counts(counter: Mapping[Any, int]) -> dict[str, int]:
    return {str(name): count for name, count in sorted(counter.items(), key=lambda item: (-item[1], str(item[0])))}


def _table(what: str, count: str, rows: Mapping[str, int]) -> list[str]:
    if not rows:
        return []
    return [
        f"| {what} | {count} |",
        "| --- | --: |",
        *(f"| {name} | {number:,} |" for name, number in rows.items()),
        "",
    ]


def _write(file: Path, text: str) -> None:
    unfinished = file.with_name(file.name + ".unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)
