"""Where documents come from."""

from __future__ import annotations

import asyncio
import fnmatch
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from pipeline.errors import DocumentUnreadable, SourceNotFound
from pipeline.knowledge.convert import MAX_BYTES, READABLE, too_large

_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One document of a source, not yet read."""

    location: str
    """What a person opens: a path relative to the source, or a URL. Unique in the source."""
    name: str
    """A file name or path whose ending tells the kind."""
    load: Callable[[], bytes]
    """Reads it. Blocking; raises `DocumentUnreadable` or `OSError`."""


class Source(Protocol):
    """A named set of documents. To add a kind of source, write a class with these two members."""

    @property
    def name(self) -> str:
        """Part of each document's id: stable, unique for its tenant, at most 200 characters, no `:`."""

    def files(self) -> AsyncIterator[SourceFile]:
        """All documents there are now. Raises `SourceNotFound` rather than list some of them only."""


class DirectorySource:
    """A folder with Markdown, HTML and text files, or a single such file.

    `include` and `exclude` are patterns as in a shell, for paths relative to the folder (`guides/*`, `*.draft.md`; `*`
    also stands for slashes). Hidden files and folders are left out, and links that lead out of the folder.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str | None = None,
        include: Sequence[str] = ("*",),
        exclude: Sequence[str] = (),
        base_url: str | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """`base_url`: where people open the pages; a document's location is then this URL and its path."""
        self._path = Path(os.path.abspath(path))
        self.name = _clean(name or self._path.name) or "files"
        self._include = tuple(include)
        self._exclude = tuple(exclude)
        self._base_url = base_url.rstrip("/") if base_url else None
        self._max_bytes = max_bytes

    async def files(self) -> AsyncIterator[SourceFile]:
        for file in await asyncio.to_thread(self._list):
            yield file

    def _list(self) -> list[SourceFile]:
        if self._path.is_file():
            if self._path.suffix.lower() not in READABLE:
                raise SourceNotFound(f"{self._path} is not a kind of file that can be read ({_endings()}).")
            return [self._file(str(self._path), self._path.name)]
        if not self._path.is_dir():
            raise SourceNotFound(f"{self._path} does not exist. Check the path; nothing was changed.")
        return sorted((self._file(path, relative) for path, relative in self._walk()), key=lambda file: file.location)

    def _walk(self) -> Iterator[tuple[str, str]]:
        """Path and relative path of readable files; links are followed inside the folder, each real folder once."""
        root = os.path.realpath(self._path)
        folders, links, visited = deque([(root, "")]), deque[tuple[str, str]](), set[str]()
        while folders or links:
            # links last: a folder's own name is its documents' location, not that of a link to it
            folder, prefix = folders.popleft() if folders else links.popleft()
            if folder in visited:
                continue
            visited.add(folder)
            for entry in _entries(folder):
                real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                if entry.name.startswith(".") or not _within(real, root):
                    continue
                if os.path.isdir(real) if entry.is_symlink() else entry.is_dir():
                    (links if entry.is_symlink() else folders).append((real, f"{prefix}{entry.name}/"))
                elif self._wanted(prefix + entry.name) and os.path.isfile(real):
                    yield real, prefix + entry.name

    def _wanted(self, relative: str) -> bool:
        return (
            os.path.splitext(relative)[1].lower() in READABLE
            and any(fnmatch.fnmatchcase(relative, pattern) for pattern in self._include)
            and not any(fnmatch.fnmatchcase(relative, pattern) for pattern in self._exclude)
        )

    def _file(self, path: str, relative: str) -> SourceFile:
        # a file name may hold bytes that are no text, and then cannot be stored
        relative = os.fsencode(relative).decode("utf-8", "replace")
        location = f"{self._base_url}/{relative}" if self._base_url else relative
        return SourceFile(location, relative, partial(_read, path, self._max_bytes))


def _read(path: str, max_bytes: int) -> bytes:
    """The whole file; refused if it is too large, or keeps changing while it is read."""
    for _attempt in range(3):
        with open(path, "rb", buffering=0) as stream:
            before = os.fstat(stream.fileno())
            if before.st_size > max_bytes:
                raise too_large(before.st_size, max_bytes)
            data = stream.read() or b""
            after = os.fstat(stream.fileno())
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) and len(data) == after.st_size:
            return data
    raise DocumentUnreadable("it changes while it is read: sync again when it is complete")


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as exc:
        # a folder that cannot be read must not look like a folder whose documents were deleted
        raise SourceNotFound(f"{folder} cannot be read ({exc.strerror}). Nothing was changed.") from exc


def _clean(name: str) -> str:
    """A name that can be stored, without the `:` that ends a source's name in a document's id."""
    return os.fsencode(name).decode("utf-8", "replace").replace(":", "-")[:_LONGEST_NAME]


def _within(path: str, root: str) -> bool:
    return os.path.commonpath((path, root)) == root


def _endings() -> str:
    return ", ".join(sorted(READABLE))
