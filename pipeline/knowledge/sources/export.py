"""A zip file: an export of Confluence (HTML) or Notion (Markdown), or just documents."""

from __future__ import annotations

import asyncio
import io
import re
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from pipeline.errors import DocumentUnreadable, SourceNotFound
from pipeline.knowledge.archives import check_archive, open_archive, read_entry
from pipeline.knowledge.convert import MAX_BYTES, readable
from pipeline.knowledge.sources.base import Choice, SourceFile, clean_name
from pipeline.knowledge.sources.entry import Entry, Kit

_NOTION = re.compile(r" ?\b([0-9a-f]{32})(?=\.|/|$)")
_CONFLUENCE = re.compile(r"(?:^|_)(\d{4,})\.html$")
_NOT_PAGES = frozenset({"attachments", "images", "styles", "thumbnails"})
_PARTS = 20
"""Notion packs its export again, in parts."""
_LARGEST_PART = 1_000_000_000
_FIRST = 100_000


class ExportSource:
    """The documents in a zip file. Pages of Confluence and Notion are known by their id: moving them renames nothing.

    `base_url`: for Confluence, the wiki's address; pages are then linked there. Nothing is unpacked to disk.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        choice: Choice | None = None,
        base_url: str = "",
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.name = clean_name(name)
        self.kind = "export"
        self._path = path
        self._choice = choice or Choice()
        self._base_url = base_url.rstrip("/")
        self._max_bytes = max_bytes

    async def files(self) -> AsyncIterator[SourceFile]:
        try:
            found = await asyncio.to_thread(lambda: list(self._list()))
        except DocumentUnreadable as exc:
            raise SourceNotFound(f"{self._path}: {exc}. Nothing was changed.") from exc
        except OSError as exc:
            raise SourceNotFound(f"{self._path} cannot be read ({exc.strerror}). Nothing was changed.") from exc
        for file in found:
            yield file

    def _list(self) -> Iterator[SourceFile]:
        for archive in self._archives():
            entries = [entry for entry in archive.infolist() if not entry.is_dir() and _is_page(entry.filename)]
            confluence = _is_confluence(archive, entries)
            for entry in sorted(entries, key=lambda entry: entry.filename):
                contents = confluence and PurePosixPath(entry.filename).name == "index.html"
                if readable(entry.filename) and self._choice.wants(entry.filename) and not contents:
                    yield self._file(archive, entry, confluence=confluence)

    def _archives(self) -> Iterator[zipfile.ZipFile]:
        archive = open_archive(str(self._path))
        check_archive(archive)
        parts = [entry for entry in archive.infolist() if re.search(r"Part-\d+\.zip$", entry.filename)]
        yield archive
        for part in parts[:_PARTS]:
            inner = open_archive(io.BytesIO(read_entry(archive, part, _LARGEST_PART)))
            check_archive(inner)
            yield inner

    def _file(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, *, confluence: bool) -> SourceFile:
        path = entry.filename
        load = partial(read_entry, archive, entry, self._max_bytes)
        if confluence and (page := _CONFLUENCE.search(PurePosixPath(path).name)):
            link = f"{self._base_url}/pages/viewpage.action?pageId={page[1]}" if self._base_url else path
            return SourceFile(link, path, load, key=page[1])
        if page := _NOTION.search(PurePosixPath(path).name):
            plain = _NOTION.sub("", path)
            ending = PurePosixPath(path).suffix
            return SourceFile(f"https://www.notion.so/{page[1]}", plain, load, key=f"{page[1]}{ending}")
        return SourceFile(f"{self._base_url}/{path}" if self._base_url else path, path, load, key=path)


def _is_page(path: str) -> bool:
    folders = PurePosixPath(path).parts
    hidden = any(part.startswith((".", "__MACOSX")) for part in folders)
    return not hidden and ".." not in folders and not path.startswith("/") and not _NOT_PAGES.intersection(folders[:-1])


def _is_confluence(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> bool:
    """Its index says who made it, and its pages are called by their ids."""
    pages = [entry for entry in entries if _CONFLUENCE.search(entry.filename)]
    if not pages:
        return False
    try:
        with archive.open(pages[0]) as page:
            return b"main-content" in page.read(_FIRST)
    # As in `archives.read_entry`: RuntimeError is of encryption, NotImplementedError of an unknown compression.
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError):
        return False  # damaged: reading it as a document says so


class ExportEntry(Entry):
    """`kind = "export"`."""

    def open(self, kit: Kit) -> ExportSource:
        return ExportSource(self.path(kit), name=self.name, choice=self.choice, base_url=self.base_url)
