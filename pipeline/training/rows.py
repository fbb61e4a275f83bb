"""Training rows: one JSON object a line, in the prompt/completion form of `trl`, each with where it came from.

{"prompt": [{"role": "system", "content": …}, {"role": "user", "content": …}],
 "completion": [{"role": "assistant", "content": …}],
 "skill": "draft", "kind": "heading", "provenance": {…}}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import TrainingError
from pipeline.llm import Message

MAX_LINE = 1 << 20
"""Bytes of a row's line. A longer one is broken, not long: no model's window holds it."""
_SHOWN = 5
"""Broken lines that an error names."""


class Skill(StrEnum):
    """What a row teaches."""

    DRAFT = "draft"
    """Closed book: question -> what the documentation would say, in its words and headings."""
    ANSWER = "answer"
    """Grounded: passages and question -> cited answer or abstention."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a row came from."""

    document: str
    """Id of the document; of several, joined by a space. Empty for a row that no document stands behind."""
    passages: tuple[str, ...]
    """Ids of the passages that the completion was made from."""
    version: str
    """The document's content hash when the row was made."""
    generator: str
    """`rule` for a row that needed no model; `seed` for a question that was given; else the model's name."""
    prompt_version: str = ""
    """Hash of the prompt that the generator was asked with; empty for rules."""
    scores: dict[str, float] = field(default_factory=dict)
    """Filter -> its score, for the filters that the row passed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One example."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    """One message of the assistant."""
    skill: Skill
    kind: str
    """`heading`, `passage`, `definition`, `comparison`, …"""
    provenance: Provenance

    @property
    def question(self) -> str:
        """What is asked: the last message of the prompt."""
        return self.prompt[-1].content

    @property
    def text(self) -> str:
        """What is to be written."""
        return self.completion[0].content


_ROW = TypeAdapter(Row)
Parsed = TypeVar("Parsed")


def write_rows(file: Path, rows: Iterable[Row]) -> str:
    """Write `file` whole or not at all; returns its hash (`file_hash`)."""
    unfinished = file.with_name(file.name + ".unfinished")
    unfinished.write_text("".join(line(row) for row in rows), encoding="utf-8")
    unfinished.replace(file)
    return file_hash(file)


def line(row: Row) -> str:
    """The row as one line of JSON, keys in a fixed order."""
    return json.dumps(asdict(row), ensure_ascii=False) + "\n"


def read_rows(files: Sequence[Path]) -> tuple[Row, ...]:
    """All rows. Raises `TrainingError`, naming the first broken lines, before anything is trained on the others."""
    rows = parsed(files, _row)
    if not rows:
        raise TrainingError(f"No rows in {', '.join(str(file) for file in files)}. Run `promptai synthesize` first.")
    return rows


def parsed(files: Sequence[Path], parse: Callable[[bytes], Parsed]) -> tuple[Parsed, ...]:
    """Each line that is not blank, as `parse` understands it; it raises `ValidationError` or another `ValueError` for a
    broken one. Raises `TrainingError`, naming the first of these."""
    found: list[Parsed] = []
    broken: list[str] = []
    for file in files:
        for number, text in _lines(file):
            try:
                if len(text) > MAX_LINE:
                    raise ValueError(f"a row of {len(text):,} bytes; at most {MAX_LINE:,} are allowed")
                found.append(parse(text))
            except ValidationError as exc:
                first = exc.errors(include_url=False)[0]
                where = ".".join(str(part) for part in first["loc"])
                broken.append(f"{file.name}:{number}: {where + ': ' if where else ''}{first['msg']}")
            except ValueError as exc:
                broken.append(f"{file.name}:{number}: {exc}")
    if broken:
        shown = "; ".join(broken[:_SHOWN]) + (f"; and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else "")
        raise TrainingError(f"Rows that cannot be read: {shown}. Mend or remove these lines; nothing was trained.")
    return tuple(found)


def check(row: Row) -> Row:
    """Raises `ValueError` where a row is no question with an answer."""
    if not row.prompt or row.prompt[-1].role != "user":
        raise ValueError("the prompt must end with a user's message")
    if len(row.completion) != 1 or row.completion[0].role != "assistant" or not row.text.strip():
        raise ValueError("the completion must be one message of the assistant, with text")
    return row


def file_hash(*files: Path) -> str:
    """SHA-256 (hex) of the files' bytes, in order."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):  # weights may be larger than what is free of memory
                digest.update(block)
    return digest.hexdigest()


def corpus_hash(folder: Path) -> str:
    """Of the documents behind the data in `folder`, as its manifest has it; empty where nothing says it."""
    try:
        told = json.loads((folder / "manifest.json").read_bytes())
        return str(told["corpus"]["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with file.open("rb") as stream:
            for number, text in enumerate(stream, start=1):
                if text.strip():
                    yield number, text
    except OSError as exc:
        raise TrainingError(f"{file} cannot be read ({exc.strerror}).") from exc


def _row(text: bytes) -> Row:
    return check(_ROW.validate_json(text))
