"""What every source of documents is."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One document of a source, not yet read."""

    location: str
    """What a person opens: a path relative to the source, or a URL."""
    name: str
    """A file name or path whose ending tells the kind; language and release are read from it too."""
    load: Callable[[], bytes]
    """Reads it. Blocking; raises `DocumentUnreadable` or `OSError`."""
    key: str = ""
    """What the source knows it by, unique and stable there; empty: its location."""
    stamp: str = ""
    """Tells without reading whether the content has changed (a Git blob's id): equal stamps, equal bytes. Empty: read it."""
    lines_url: str = ""
    """Where people open a range of its lines: a URL with `{start}` and `{end}`. Empty: sections are linked by anchor."""
    language: str = ""
    """Empty: as the document or its path says."""
    release: str = ""
    """Empty: as the document or its path says."""

    @property
    def identity(self) -> str:
        """Its key in the catalog."""
        return self.key or self.location


class Source(Protocol):
    """A named set of documents. To add a kind of source, write a class with these three members: docs/knowledge.md."""

    @property
    def name(self) -> str:
        """Part of each document's id: stable, unique for its tenant, at most 200 characters, no `:`."""

    @property
    def kind(self) -> str:
        """As in `knowledge.toml`."""

    def files(self) -> AsyncIterator[SourceFile]:
        """All documents there are now. Raises `SourceNotFound` rather than list some of them only."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which paths of a source are wanted: patterns as in a shell; `*` also stands for slashes."""

    include: Sequence[str] = ("*",)
    exclude: Sequence[str] = ()

    def wants(self, path: str) -> bool:
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in self.include) and not any(
            fnmatch.fnmatchcase(path, pattern) for pattern in self.exclude
        )


def clean_name(name: str) -> str:
    """A name that can be stored, without the `:` that ends a source's name in a document's id."""
    return os.fsencode(name).decode("utf-8", "replace").replace(":", "-")[:LONGEST_NAME]
