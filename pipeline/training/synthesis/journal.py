"""What a model has written, kept as it comes: a run that was killed asks nothing twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from pipeline.errors import TrainingError
from pipeline.llm import Message
from pipeline.training.synthesis.output import writing

JOURNAL = "generated.jsonl"


@dataclass(frozen=True, slots=True)
class Written:
    """A completion."""

    key: str
    """See `key_of`."""
    text: str
    tokens_in: int
    """Estimated, of the prompt."""
    tokens_out: int
    """Estimated, of everything that was generated."""
    looped: bool = False
    """Whether it was cut because it began to repeat itself."""


def key_of(messages: Sequence[Message], model: str, max_tokens: int) -> str:
    """SHA-256 (hex, 24 characters) of all that a completion depends on."""
    told = json.dumps([[(message.role, message.content) for message in messages], model, max_tokens])
    return hashlib.sha256(told.encode()).hexdigest()[:24]


class Journal:
    """JSON lines, one a completion. A line that was cut by a kill is ignored, and written again."""

    def __init__(self, folder: Path) -> None:
        """Reads what there is. Raises `TrainingError` where it cannot be read or written."""
        self.folder = folder
        self.file = folder / JOURNAL
        self.known: dict[str, Written] = {}
        self._stream: IO[str] | None = None
        try:
            text = self.file.read_text(encoding="utf-8", errors="replace") if self.file.exists() else ""
        except OSError as exc:
            raise TrainingError(f"{self.file} cannot be read ({exc.strerror}). Name another --out.") from exc
        self._torn = bool(text) and not text.endswith("\n")
        for line in text.split("\n"):
            if written := _read(line):
                self.known[written.key] = written

    def add(self, written: Written) -> None:
        """Append it; it is on its way to the disk when this returns. Raises `TrainingError` on a full disk."""
        with writing(self.folder):
            if self._stream is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._stream = self.file.open("a", encoding="utf-8")
                if self._torn:
                    self._stream.write("\n")
            self._stream.write(json.dumps(asdict(written), ensure_ascii=False) + "\n")
            self._stream.flush()
        self.known[written.key] = written

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            with contextlib.suppress(OSError):  # each line was flushed; what a full disk refused was told
                stream.close()


def _read(line: str) -> Written | None:
    try:
        record: Any = json.loads(line)
        return Written(**record)
    except (ValueError, TypeError):
        return None
