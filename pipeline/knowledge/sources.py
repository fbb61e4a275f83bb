"""Where documents come from."""

from __future__ import annotations

import asyncio
import fnmatch
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from pipeline.errors import DocumentUnreadable, SourceNotFound
from pipeline.knowledge.convert import MAX_BYTES, READABLE, too_large


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
        """Part of each document's id: stable, unique for its tenant."""

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
        self.name = name or self._path.name or "files"
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
            return [self._file(self._path, self._path.parent)]
        if not self._path.is_dir():
            raise SourceNotFound(f"{self._path} does not exist. Check the path; nothing was changed.")
        found = (self._file(path, self._path) for path in self._walk())
        return sorted(found, key=lambda file: file.location)

    def _walk(self) -> Iterator[Path]:
        """Regular files of a readable kind inside the folder, links followed, each real folder visited once."""
        root = self._path.resolve()
        visited: set[Path] = set()
        for folder, folders, names in os.walk(self._path, followlinks=True, onerror=_refuse):
            real = Path(folder).resolve()
            if real in visited or not real.is_relative_to(root):
                folders.clear()
                continue
            visited.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder, name)
                relative = path.relative_to(self._path).as_posix()
                if self._wanted(relative) and path.resolve().is_relative_to(root) and path.is_file():
                    yield path

    def _wanted(self, relative: str) -> bool:
        path = PurePosixPath(relative)
        return (
            path.suffix.lower() in READABLE
            and not path.name.startswith(".")
            and any(fnmatch.fnmatch(relative, pattern) for pattern in self._include)
            and not any(fnmatch.fnmatch(relative, pattern) for pattern in self._exclude)
        )

    def _file(self, path: Path, root: Path) -> SourceFile:
        # a file name may hold bytes that are no text, and then cannot be stored
        relative = os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "replace")
        location = f"{self._base_url}/{relative}" if self._base_url else relative
        return SourceFile(location, relative, lambda: _read(path, self._max_bytes))


def _read(path: Path, max_bytes: int) -> bytes:
    """The whole file; refused if it is too large, or keeps changing while it is read."""
    for _attempt in range(3):
        with path.open("rb") as stream:
            before = os.fstat(stream.fileno())
            if before.st_size > max_bytes:
                raise too_large(before.st_size, max_bytes)
            data = stream.read(max_bytes + 1)
            after = os.fstat(stream.fileno())
        if len(data) > max_bytes:
            raise too_large(len(data), max_bytes)
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            return data
    raise DocumentUnreadable("it changes while it is read: sync again when it is complete")


def _refuse(error: OSError) -> None:
    # a folder that cannot be read must not look like a folder whose documents were deleted
    raise SourceNotFound(f"{error.filename} cannot be read ({error.strerror}). Nothing was changed.") from error


def _endings() -> str:
    return ", ".join(sorted(READABLE))
