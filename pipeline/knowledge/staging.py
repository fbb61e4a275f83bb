"""The part of a sync that readers do not see: read everything, write what is new beside what is old."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from pipeline.errors import SourceNotFound
from pipeline.knowledge.indexing import Indexes
from pipeline.knowledge.ledger import Ledger, Moved
from pipeline.knowledge.reading import Failed, Outcome, Prepared, Reader, Unchanged
from pipeline.knowledge.sources import Source, SourceFile
from pipeline.types import Passage

Progress = Callable[[int, int, str], None]
"""Called with documents done, documents in all, and the location just done."""

_FILES = 32
"""Files read in one go, while the passages of those before are being embedded."""
_PASSAGES = 256
"""Passages embedded and written in one go, about."""


class Staging:
    """Counts and names what it finds; nothing becomes visible before `Ledger.switch`."""

    def __init__(
        self, run: str, ledger: Ledger, indexes: Indexes, reader: Reader, fingerprint: str, now: datetime
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._indexes = indexes
        self._reader = reader
        self._fingerprint = fingerprint
        self._now = now
        self._waiting: list[Prepared] = []
        self.added = self.changed = self.unchanged = self.embedded = 0
        self.failed: list[tuple[str, str]] = []
        self.moved: list[Moved] = []
        self.removed: tuple[str, ...] = ()
        """Ids of documents that the source no longer has."""

    async def stage(self, source: Source, progress: Progress | None, *, allow_empty: bool) -> None:
        """Read all files of `source`; afterwards all new and changed documents are indexed, and invisible."""
        files = await self._list(source)
        if not files and self._reader.known and not allow_empty:
            raise SourceNotFound(
                f"The source {source.name!r} is empty now, and has {len(self._reader.known)} documents in the catalog."
                " If they are meant to be removed, sync it again and allow that (--allow-empty)."
            )
        seen = {f"{source.name}:{file.location}" for file in files}
        self.removed = tuple(document_id for document_id in self._reader.known if document_id not in seen)
        done = 0
        batches = [files[start : start + _FILES] for start in range(0, len(files), _FILES)]
        reading = self._read(batches, 0)
        try:
            for number in range(len(batches)):
                outcomes = await reading
                reading = self._read(batches, number + 1)
                for outcome in outcomes:
                    await self._take(outcome)
                    done += 1
                    if progress:
                        progress(done, len(files), outcome.location)
        finally:
            await asyncio.wait([reading])  # a thread cannot be cancelled; none may run on when the sync has ended
        await self._flush()

    async def _list(self, source: Source) -> list[SourceFile]:
        files: dict[str, SourceFile] = {}
        async for file in source.files():
            if file.location in files:
                self.failed.append((file.location, "the source has it twice; the first one counts"))
            else:
                files[file.location] = file
        return list(files.values())

    def _read(self, batches: Sequence[Sequence[SourceFile]], number: int) -> asyncio.Future[list[Outcome]]:
        files = batches[number] if number < len(batches) else ()
        return asyncio.ensure_future(asyncio.to_thread(self._reader.read, files))

    async def _take(self, outcome: Outcome) -> None:
        match outcome:
            case Failed():
                self.failed.append((outcome.location, outcome.reason))
            case Unchanged():
                self.unchanged += 1
                if outcome.new_file_hash:
                    await self._ledger.touch(outcome.document_id, outcome.new_file_hash)
            case Prepared():
                if outcome.before is None:
                    self.added += 1
                elif outcome.same_text:
                    self.unchanged += 1
                else:
                    self.changed += 1
                self._waiting.append(outcome)
                if sum(len(each.passages) for each in self._waiting) >= _PASSAGES:
                    await self._flush()

    async def _flush(self) -> None:
        """Rows first, then the indexes, then the note that the indexes have them: see `ledger`."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        passages = [passage for each in waiting for passage in each.passages]
        indexed_by, moved = await self._ledger.stage(self._run, [each.staged for each in waiting], passages, self._now)
        self.moved += moved
        new = [passage for passage in passages if indexed_by[passage.id] != self._fingerprint]
        for start in range(0, len(new), _PASSAGES):
            await self._index(new[start : start + _PASSAGES])

    async def _index(self, passages: Sequence[Passage]) -> None:
        await self._indexes.write(self._reader.tenant, passages)
        await self._ledger.mark_indexed([passage.id for passage in passages], self._fingerprint)
        self.embedded += len(passages)
