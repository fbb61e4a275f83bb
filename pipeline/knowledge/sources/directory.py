"""A folder, or a single file."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path

from pipeline.errors import DocumentUnreadable, SourceNotFound
from pipeline.knowledge.convert import MAX_BYTES, READABLE, readable, too_large
from pipeline.knowledge.sources.base import Choice, SourceFile, clean_name
from pipeline.knowledge.sources.entry import Entry, Kit


class DirectorySource:
    """A folder with documents, or a single document.

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
        self.name = clean_name(name or self._path.name) or "files"
        self.kind = "directory"
        self._choice = Choice(tuple(include), tuple(exclude))
        self._base_url = base_url.rstrip("/") if base_url else None
        self._max_bytes = max_bytes

    async def files(self) -> AsyncIterator[SourceFile]:
        for file in await asyncio.to_thread(self._list):
            yield file

    def _list(self) -> list[SourceFile]:
        if self._path.is_file():
            if not readable(self._path.name):
                raise SourceNotFound(f"{self._path} is not a kind of file that can be read ({_endings()}).")
            return [self._file(str(self._path), self._path.name)]
        if not self._path.is_dir():
            raise SourceNotFound(f"{self._path} does not exist. Check the path; nothing was changed.")
        return sorted((self._file(path, relative) for path, relative in self._walk()), key=attrgetter("location"))

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
                relative = prefix + entry.name
                if entry.name.startswith("."):
                    continue
                if not entry.is_symlink():  # listing has said what it is: nothing is asked of the file itself
                    if entry.is_dir():
                        folders.append((entry.path, f"{relative}/"))
                    elif self._wanted(relative) and entry.is_file():
                        yield entry.path, relative
                elif _within(real := os.path.realpath(entry.path), root):
                    if os.path.isdir(real):
                        links.append((real, f"{relative}/"))
                    elif self._wanted(relative) and os.path.isfile(real):
                        yield real, relative

    def _wanted(self, relative: str) -> bool:
        return readable(relative) and self._choice.wants(relative)

    def _file(self, path: str, relative: str) -> SourceFile:
        # a file name may hold bytes that are no text, and then cannot be stored
        relative = relative if relative.isascii() else os.fsencode(relative).decode("utf-8", "replace")
        location = f"{self._base_url}/{relative}" if self._base_url else relative
        return SourceFile(location, relative, partial(read_file, path, self._max_bytes), key=relative)


def read_file(path: str, max_bytes: int) -> bytes:
    """The whole file; refused if it is too large, or keeps changing while it is read."""
    for _attempt in range(3):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # a file object asks the system twice as often
        try:
            before = os.fstat(descriptor)
            if before.st_size > max_bytes:
                raise too_large(before.st_size, max_bytes)
            data = _read(descriptor, before.st_size + 1)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) and len(data) == after.st_size:
            return data
    raise DocumentUnreadable("it changes while it is read: sync again when it is complete")


def _read(descriptor: int, most: int) -> bytes:
    """Up to `most` bytes; `most` - 1 of them are expected: then one call of the system reads them all."""
    data = os.read(descriptor, most)
    while len(data) < most - 1 and (more := os.read(descriptor, most - len(data))):
        data += more
    return data


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as exc:
        # a folder that cannot be read must not look like a folder whose documents were deleted
        raise SourceNotFound(f"{folder} cannot be read ({exc.strerror}). Nothing was changed.") from exc


def _within(path: str, root: str) -> bool:
    return os.path.commonpath((path, root)) == root


def _endings() -> str:
    return ", ".join(sorted(READABLE))


class DirectoryEntry(Entry):
    """`kind = "directory"`."""

    def open(self, kit: Kit) -> DirectorySource:
        return DirectorySource(
            self.path(kit),
            name=self.name,
            include=self.include,
            exclude=self.exclude,
            base_url=self.base_url or None,
        )
