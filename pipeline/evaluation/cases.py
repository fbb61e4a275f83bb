"""The questions of an evaluation, from JSON lines; what is wrong with them is listed, never skipped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.errors import EvaluationError
from pipeline.types import Turn

UNANSWERABLE = "unanswerable"
"""The kind of question that the corpus holds no answer to; the only one without gold pages."""
_LISTED = 10
"""Faults named in one message."""


@dataclass(frozen=True, slots=True)
class GoldSection:
    """A section that answers."""

    page: str
    name: str
    """A heading of the page, or the anchor of one."""


@dataclass(frozen=True, slots=True)
class Case:
    """A question and what is known about its answer."""

    id: str
    question: str
    kind: str = "question"
    """Reports are broken down by it."""
    split: str = "dev"
    history: tuple[Turn, ...] = ()
    """Earlier turns of the thread."""
    pages: tuple[str, ...] = ()
    """Locations of the gold pages; none for an unanswerable question only."""
    sections: tuple[GoldSection, ...] = ()
    """May be empty where only pages are labelled."""
    reference: str | None = None
    """A reference answer."""
    items: tuple[str, ...] = ()
    """What the answer to a global question has to list."""
    drafts: Mapping[str, str] = field(default_factory=dict)
    """Drafts to be replayed, by the name of the model that wrote them."""

    @property
    def answerable(self) -> bool:
        return self.kind != UNANSWERABLE

    @property
    def standalone(self) -> str:
        """What is retrieved for without a model that rewrites follow-ups: the question behind the one before it."""
        return f"{self.history[-1].question}\n{self.question}" if self.history else self.question


def read_cases(file: Path, *, split: str | None = None) -> tuple[Case, ...]:
    """All questions of `file`, or those of one split. Raises `EvaluationError` listing what is wrong with them.

    Two formats: `examples/streaming-qoe/questions.jsonl` (gold_pages, gold_sections, gold_list, history) and one with
    `page`, `section_ids` and `closed_book` drafts.
    """
    cases = [_case(record) for record in read_records(file, ("id", "question"))]
    refuse(f"{file} holds questions twice", _twice(case.id for case in cases))
    refuse(f"{file} asks the same twice", _twice(f"{case.question} {case.history or ''}".strip() for case in cases))
    unlabelled = [case.id for case in cases if case.answerable and not case.pages]
    refuse(f"{file} has questions without gold pages (only kind {UNANSWERABLE!r} may have none)", unlabelled)
    chosen = tuple(case for case in cases if split is None or case.split == split)
    if not chosen:
        splits = ", ".join(sorted({case.split for case in cases})) or "none at all"
        raise EvaluationError(f"{file} has no questions of the split {split!r}; it has: {splits}.")
    return chosen


def with_drafts(cases: Sequence[Case], file: Path) -> tuple[Case, ...]:
    """The cases with the drafts of a replay file (JSON lines: id, draft, and model where there are several).

    Raises `EvaluationError` where the file and the questions do not match.
    """
    drafts: dict[str, dict[str, str]] = {}
    for record in read_records(file, ("id", "draft")):
        model, known = str(record.get("model", "replayed")), drafts.setdefault(str(record["id"]), {})
        if model in known:
            raise EvaluationError(f"{file} holds two drafts by {model} for {record['id']}.")
        known[model] = str(record["draft"])
    ids = {case.id for case in cases}
    models = {model for known in drafts.values() for model in known}
    missing = [f"{case.id} ({model})" for case in cases for model in models if model not in drafts.get(case.id, {})]
    refuse(f"{file} lacks drafts", missing)
    if drafts.keys().isdisjoint(ids):
        raise EvaluationError(f"{file} holds drafts for none of the questions.")
    return tuple(replace(case, drafts=drafts[case.id]) for case in cases)


def sample(cases: Sequence[Case], size: int) -> tuple[Case, ...]:
    """At most `size` cases, each kind in turn, evenly over the file: the same ones each time."""
    kinds: dict[str, list[Case]] = {}
    for case in cases:
        kinds.setdefault(case.kind, []).append(case)
    shares = Counter(kind for _, kind in zip(range(size), _in_turn(kinds), strict=False))
    chosen = {
        case.id
        for kind, found in kinds.items()
        for case in found[:: max(1, len(found) // (shares[kind] or 1))][: shares[kind]]
    }
    return tuple(case for case in cases if case.id in chosen)


def refuse(what: str, faults: Sequence[str]) -> None:
    """Raise `EvaluationError` naming the first faults, if there are any."""
    if faults:
        more = f" and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
        raise EvaluationError(f"{what}: {'; '.join(faults[:_LISTED])}{more}.")


def read_records(file: Path, needed: Sequence[str]) -> list[dict[str, Any]]:
    """JSON objects of `file`, one a line, each with the `needed` fields. Raises `EvaluationError`."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise EvaluationError(
            f"{file} cannot be read: {getattr(exc, 'strerror', exc)}. docs/evaluation.md shows what it holds."
        ) from exc
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as exc:
            raise EvaluationError(f"{file}, line {number}: not JSON ({exc}).") from exc
        if not isinstance(record, dict) or any(not record.get(name) for name in needed):
            raise EvaluationError(f"{file}, line {number}: needs {' and '.join(needed)}.")
        records.append(record)
    return records


def _case(record: Mapping[str, Any]) -> Case:
    page = record.get("page")
    sections = [GoldSection(str(part["page"]), str(part["heading"])) for part in record.get("gold_sections", ())]
    sections += [GoldSection(str(page), str(name)) for name in record.get("section_ids", ()) if page]
    return Case(
        id=str(record["id"]),
        question=str(record["question"]),
        kind=str(record.get("kind", "question")),
        split=str(record.get("split", "dev")),
        history=tuple(Turn(str(turn["question"]), str(turn["answer"])) for turn in record.get("history", ())),
        pages=tuple(map(str, record.get("gold_pages") or ([page] if page else ()))),
        sections=tuple(sections),
        reference=record.get("reference_answer"),
        items=tuple(map(str, record.get("gold_list", ()))),
        drafts={str(model): str(draft) for model, draft in record.get("closed_book", {}).items()},
    )


def _twice(values: Iterable[str]) -> list[str]:
    return [value for value, times in Counter(values).items() if times > 1]


def _in_turn(kinds: Mapping[str, Sequence[Case]]) -> Iterable[str]:
    longest = max((len(found) for found in kinds.values()), default=0)
    return (kind for at in range(longest) for kind, found in kinds.items() if at < len(found))


Progress = Callable[[int, int, str], None]
"""Called with (done, total, what)."""
