"""The part of a sync that readers do not see: read everything, write what is new beside what is old."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from pipeline.knowledge.ahead import Ahead
from pipeline.knowledge.indexing import Indexes
from pipeline.knowledge.ledger import Ledger, Moved
from pipeline.knowledge.reading import Failed, Outcome, Prepared, Reader, Skipped, Unchanged
from pipeline.knowledge.sources import SourceFile
from pipeline.types import Passage

Progress = Callable[[int, int, str], None]
"""Called with documents done, documents in all, and the location just done."""

_CHANGES = 32
"""New and changed files read in one go, while the passages of those before are being embedded."""
_FILES = 256
"""Files read in one go where hardly any has changed: fewer changes of thread, and still a progress to be seen."""
_PASSAGES = 256
"""Passages embedded and written in one go, about."""
_AHEAD = 2
"""Such portions at a time: while one is written, the next is embedded."""


class Staging:
    """Counts and names what it finds; nothing becomes visible before `Ledger.switch`."""

    def __init__(
        self,
        run: str,
        ledger: Ledger,
        indexes: Indexes,
        reader: Reader,
        fingerprint: str,
        now: datetime,
        *,
        dry: bool = False,
    ) -> None:
        """`dry`: read and count only."""
        self._run = run
        self._ledger = ledger
        self._indexes = indexes
        self._reader = reader
        self._fingerprint = fingerprint
        self._now = now
        self._dry = dry
        self._waiting: list[Prepared] = []
        self._writing = Ahead(_AHEAD)
        self._dropped: list[str] = []
        self.added = self.changed = self.renamed = self.unchanged = self.embedded = self.prepared = 0
        self.failed: list[tuple[str, str]] = []
        self.moved: list[Moved] = []
        self.wrote = False

    @property
    def removed(self) -> tuple[str, ...]:
        """Ids of documents that the source no longer has; final when all is read."""
        return (*(document.id for document in self._reader.identities.gone.values()), *self._dropped)

    async def stage(self, files: Sequence[SourceFile], progress: Progress | None) -> None:
        """Read all files; afterwards all new and changed documents are indexed, and invisible."""
        done = 0
        reading = self._read(files, 0)
        try:
            async with self._writing:
                while outcomes := await reading:
                    reading = self._read(files, done + len(outcomes))
                    for outcome in outcomes:
                        await self._take(outcome)
                        done += 1
                        if progress:
                            progress(done, len(files), outcome.location)
                await self._flush()
        finally:
            await asyncio.wait([reading])  # a thread cannot be cancelled; none may run on when the sync has ended

    def _read(self, files: Sequence[SourceFile], start: int) -> asyncio.Future[list[Outcome]]:
        return asyncio.ensure_future(asyncio.to_thread(self._reader.read, files[start : start + _FILES], _CHANGES))

    async def _take(self, outcome: Outcome) -> None:
        match outcome:
            case Failed():
                self.failed.append((outcome.location, outcome.reason))
            case Skipped():
                self._dropped += [outcome.before.id] if outcome.before else []
            case Unchanged():
                self.unchanged += 1
                if outcome.touched and not self._dry:
                    await self._ledger.touch(outcome.document_id, *outcome.touched)
            case Prepared():
                self._count(outcome)
                self._waiting.append(outcome)
                if sum(len(each.passages) for each in self._waiting) >= _PASSAGES:
                    await self._flush()

    def _count(self, outcome: Prepared) -> None:
        self.prepared += len(outcome.passages)
        if outcome.before is None:
            self.added += 1
        elif outcome.renamed:
            self.renamed += 1
        elif outcome.same_text:
            self.unchanged += 1
        else:
            self.changed += 1

    async def _flush(self) -> None:
        """Rows first, then the indexes, then the note that the indexes have them: see `ledger`."""
        waiting, self._waiting = self._waiting, []
        if not waiting or self._dry:
            return
        passages = [passage for each in waiting for passage in each.passages]
        indexed_by, moved = await self._ledger.stage(self._run, [each.staged for each in waiting], passages, self._now)
        self.wrote = True
        self.moved += moved
        new = [passage for passage in passages if indexed_by[passage.id] != self._fingerprint]
        for start in range(0, len(new), _PASSAGES):
            await self._writing.add(self._index(new[start : start + _PASSAGES]))

    async def _index(self, passages: Sequence[Passage]) -> None:
        await self._indexes.write(self._reader.tenant, passages)
        await self._ledger.mark_indexed([passage.id for passage in passages], self._fingerprint)
        self.embedded += len(passages)
