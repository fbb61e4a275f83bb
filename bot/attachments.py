"""Files that came with a question: read before it is answered, never ignored without a word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bot.messages import Question


@dataclass(frozen=True, slots=True)
class Attached:
    """What the files of a question say."""

    text: str = ""
    """Added to the question; empty where nothing could be read."""
    notice: str = ""
    """Tells the person which files were read, which not, and why; empty without files."""


class Attachments(Protocol):
    """One platform's way to read them."""

    async def read(self, question: Question) -> Attached:
        """Never raises: a file that cannot be read is named in the notice."""
