"""What came out for one case in one arm, and the file that keeps it: an interrupted run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import EvaluationError


@dataclass(frozen=True, slots=True)
class Found:
    """A passage that was retrieved."""

    page: str
    section: str
    """The gold section that it belongs to (`page > name`), or its own location."""
    similarity: float
    """To the question, or to a draft that is believed, -1 to 1: `pipeline.types.Hit.relevance`."""


@dataclass(frozen=True, slots=True)
class Cited:
    """A passage that an answer cites."""

    number: int
    page: str
    passage: int
    """Index into `Answered.evidence`."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer and what it cost."""

    text: str
    abstained: bool
    cited: tuple[Cited, ...] = ()
    evidence: tuple[str, ...] = ()
    """The passages shown, heading path and text; for an arm without passages those that `rag` would show."""
    first_token_ms: float | None = None
    """From the question to the first word; a draft that was written now is counted, a replayed one is not."""
    total_ms: float = 0.0
    draft_ms: float | None = None
    prompt_tokens: int = 0
    """An estimate: a token every 3 characters."""
    answer_tokens: int = 0
    """Pieces that the server streamed: as a rule a token each."""


@dataclass(frozen=True, slots=True)
class Record:
    """One case in one arm."""

    case: str
    arm: str
    error: str | None = None
    """Why there is no result; such a record is no zero, it is a failure, and is tried again by the next run."""
    question: str = ""
    """As it was retrieved for: a follow-up stands alone."""
    draft: str | None = None
    found: tuple[Found, ...] = ()
    """Best first; empty where the arm does not retrieve."""
    answer: Answered | None = None
    """None in a run of retrieval only."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """A judge's, by name; a verdict that could not be read is not among them."""


RECORD = TypeAdapter(Record)


class RecordFile:
    """Records by (case, arm), appended one a line. One process at a time writes it."""

    def __init__(self, file: Path, fingerprint: str) -> None:
        """`fingerprint`: of questions, corpus and settings. Raises `EvaluationError` if the file was made with others."""
        self._file = file
        self.records: dict[tuple[str, str], Record] = {}
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and file.stat().st_size:
            self._read(fingerprint)
        else:
            file.write_text(json.dumps({"fingerprint": fingerprint}) + "\n", encoding="utf-8")
        self._stream: IO[bytes] | None = None

    def add(self, record: Record) -> None:
        """Keep a record; on disk when this returns."""
        self._stream = self._stream or self._file.open("ab")
        self._stream.write(RECORD.dump_json(record) + b"\n")
        self._stream.flush()
        self.records[record.case, record.arm] = record

    def close(self) -> None:
        if self._stream:
            self._stream.close()

    def _read(self, fingerprint: str) -> None:
        head, *lines = self._file.read_bytes().split(b"\n")
        if json.dumps({"fingerprint": fingerprint}).encode() != head:
            raise EvaluationError(
                f"{self._file} holds a run with other questions, documents or settings."
                " Give another folder (--out), or --fresh to start again."
            )
        whole, torn = lines[:-1], lines[-1]
        if torn:  # the process was killed while it wrote
            with self._file.open("r+b") as stream:
                stream.truncate(self._file.stat().st_size - len(torn))
        for number, line in enumerate(whole, start=2):
            try:
                record = RECORD.validate_json(line)
            except ValidationError as exc:
                raise EvaluationError(f"{self._file}, line {number}, is no record: start again with --fresh.") from exc
            self.records[record.case, record.arm] = record
