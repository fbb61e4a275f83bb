"""Brings the catalog and both indexes in line with a source, incrementally."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from pipeline.errors import IndexUnavailable
from pipeline.knowledge.catalog import Catalog
from pipeline.knowledge.convert import CONVERTER_VERSION, MAX_BYTES
from pipeline.knowledge.indexing import Indexes
from pipeline.knowledge.ledger import Ledger
from pipeline.knowledge.passages import SPLITTER_VERSION, TARGET_TOKENS, Splitter
from pipeline.knowledge.reading import Reader
from pipeline.knowledge.runs import Runs, SyncReport
from pipeline.knowledge.sources import Source
from pipeline.knowledge.staging import Progress, Staging
from pipeline.retrieval.protocols import Embedder, KeywordIndex, VectorIndex

__all__ = ["SyncReport", "Syncer"]

log = structlog.get_logger(__name__)

_REPAIRED = 256
"""Passages embedded anew in one go."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What a caller of `sync` asks for."""

    source: Source
    tenant: str
    progress: Progress | None
    allow_empty: bool


class Syncer:
    """`sync` may be called for several sources at once; syncs of one tenant wait for each other."""

    def __init__(
        self,
        catalog: Catalog,
        embedder: Embedder,
        vectors: VectorIndex,
        keywords: KeywordIndex,
        *,
        target_tokens: int = TARGET_TOKENS,
        max_bytes: int = MAX_BYTES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._catalog = catalog
        self._indexes = Indexes(embedder, vectors, keywords)
        self._target_tokens = target_tokens
        self._max_bytes = max_bytes
        self._now = now
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def sync(
        self, source: Source, *, tenant: str, progress: Progress | None = None, allow_empty: bool = False
    ) -> SyncReport:
        """Make the documents of `source` those of `tenant`.

        Readers see the old documents until all new ones are indexed, and then all new ones. Killed at any point,
        nothing changes for them, and the next sync finishes or undoes what was begun.

        Errors: `SourceNotFound` (also for a source that suddenly is empty, unless `allow_empty`), `IndexUnavailable`,
        `CatalogUnavailable`; readers then keep what they had.
        """
        order = _Order(source, tenant, progress, allow_empty)
        async with self._locks[tenant]:
            runs = Runs(self._catalog.engine, tenant, source.name, self._now)
            run = await runs.begin()
            try:
                report = await self._sync(run, order)
                await runs.done(run, report)
            except BaseException as exc:
                await runs.failed(run, exc)
                raise
        return report

    async def _sync(self, run: str, order: _Order) -> SyncReport:
        started = time.monotonic()
        ledger = Ledger(self._catalog.engine, order.tenant, order.source.name)
        embedder = self._indexes.embedder
        # Fingerprint and tokenizer are read from the model's folder: off the event loop.
        fingerprint = await asyncio.to_thread(lambda: embedder.fingerprint)
        await self._check_indexes(ledger, order.tenant, fingerprint)
        reader = await self._reader(ledger, order, fingerprint)
        staging = Staging(run, ledger, self._indexes, reader, fingerprint, self._now())
        await staging.stage(order.source, order.progress, allow_empty=order.allow_empty)
        await ledger.switch(run, staging.removed, staging.moved, self._now())
        repaired = await self._repair(ledger, order.tenant, fingerprint)
        await self._collect(ledger, order.tenant)
        return SyncReport(
            added=staging.added,
            changed=staging.changed,
            removed=len(staging.removed),
            unchanged=staging.unchanged,
            failed=tuple(staging.failed),
            passages=await ledger.passages(),
            embedded=staging.embedded + repaired,
            seconds=time.monotonic() - started,
        )

    async def _check_indexes(self, ledger: Ledger, tenant: str, fingerprint: str) -> None:
        if await self._indexes.hold_fewer_than(tenant, await ledger.indexed(fingerprint)):
            log.warning("index_lost_passages", tenant=tenant)
            await ledger.distrust_indexes()

    async def _reader(self, ledger: Ledger, order: _Order, fingerprint: str) -> Reader:
        return Reader(
            tenant=order.tenant,
            source=order.source.name,
            recipe=f"c{CONVERTER_VERSION}.s{SPLITTER_VERSION}.t{self._target_tokens}.{fingerprint}",
            splitter=Splitter(self._indexes.embedder, target_tokens=self._target_tokens),
            known=await ledger.known(),
            max_bytes=self._max_bytes,
        )

    async def _repair(self, ledger: Ledger, tenant: str, fingerprint: str) -> int:
        """Index visible passages that the indexes lack: after a loss, or of documents that a new embedder has not seen."""
        repaired = 0
        async for passages in ledger.unindexed(fingerprint, _REPAIRED):
            await self._indexes.write(tenant, passages)
            await ledger.mark_indexed([passage.id for passage in passages], fingerprint)
            repaired += len(passages)
        return repaired

    async def _collect(self, ledger: Ledger, tenant: str) -> None:
        """Remove from the indexes what nobody can see. What fails here is tried again by the next sync."""
        try:
            garbage = await ledger.garbage()
            if garbage:
                await self._indexes.remove(tenant, garbage)
            await ledger.forget(garbage)
            await self._indexes.vectors.prune(tenant)
        except IndexUnavailable as exc:
            log.warning("garbage_left_in_index", tenant=tenant, error=str(exc))
