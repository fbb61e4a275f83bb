"""Brings the catalog and both indexes in line with a source, incrementally."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from pipeline.errors import IndexUnavailable, PipelineError
from pipeline.knowledge.catalog import Catalog
from pipeline.knowledge.convert import CONVERTER_VERSION, MAX_BYTES
from pipeline.knowledge.indexing import Indexes
from pipeline.knowledge.ledger import Ledger
from pipeline.knowledge.passages import SPLITTER_VERSION, TARGET_TOKENS, Splitter
from pipeline.knowledge.reading import Reader
from pipeline.knowledge.sources import Source
from pipeline.knowledge.staging import Progress, Staging
from pipeline.retrieval.protocols import Embedder, KeywordIndex, VectorIndex

log = structlog.get_logger(__name__)

_REPAIRED = 256
"""Passages embedded anew in one go."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did. The first four counts are documents."""

    added: int
    changed: int
    removed: int
    unchanged: int
    """Same text as before; also when a new embedder made it necessary to embed it again."""
    failed: tuple[tuple[str, str], ...]
    """Location and reason of each document that could not be read; an older version of it stays."""
    passages: int
    """Visible in this source now."""
    embedded: int
    """Passages that had to be embedded."""
    seconds: float


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
        async with self._locks[tenant]:
            ledger = Ledger(self._catalog.engine, tenant, source.name)
            run, started = uuid.uuid4().hex, time.monotonic()
            await ledger.begin(run, self._now())
            try:
                report = await self._sync(run, ledger, source, tenant, progress, allow_empty, started)
            except BaseException as exc:
                error = str(exc) if isinstance(exc, PipelineError) else type(exc).__name__
                await self._note_failure(ledger, run, error)
                raise
        log.info(
            "source_synced",
            source=source.name,
            tenant=tenant,
            added=report.added,
            changed=report.changed,
            removed=report.removed,
            failed=len(report.failed),
            seconds=round(report.seconds, 1),
        )
        return report

    async def _sync(
        self,
        run: str,
        ledger: Ledger,
        source: Source,
        tenant: str,
        progress: Progress | None,
        allow_empty: bool,
        started: float,
    ) -> SyncReport:
        embedder = self._indexes.embedder
        # The fingerprint and the tokenizer are read from the model's folder: off the event loop.
        fingerprint = await asyncio.to_thread(lambda: embedder.fingerprint)
        if await self._indexes.hold_fewer_than(tenant, await ledger.indexed(fingerprint)):
            log.warning("index_lost_passages", tenant=tenant)
            await ledger.distrust_indexes()
        recipe = f"c{CONVERTER_VERSION}.s{SPLITTER_VERSION}.t{self._target_tokens}.{fingerprint}"
        reader = Reader(
            tenant,
            source.name,
            recipe,
            Splitter(embedder, target_tokens=self._target_tokens),
            await ledger.known(),
            self._max_bytes,
        )
        staging = Staging(run, ledger, self._indexes, reader, fingerprint, self._now())
        await staging.stage(source, progress, allow_empty=allow_empty)
        await ledger.switch(run, staging.removed, staging.moved, self._now())
        repaired = await self._repair(ledger, tenant, fingerprint)
        await self._collect(ledger, tenant)
        report = SyncReport(
            added=staging.added,
            changed=staging.changed,
            removed=len(staging.removed),
            unchanged=staging.unchanged,
            failed=tuple(staging.failed),
            passages=await ledger.passages(),
            embedded=staging.embedded + repaired,
            seconds=time.monotonic() - started,
        )
        await ledger.finish(
            run,
            state="done",
            finished_at=self._now(),
            added=report.added,
            changed=report.changed,
            removed=report.removed,
            unchanged=report.unchanged,
            failed=[list(each) for each in report.failed],
            passages=report.passages,
            seconds=report.seconds,
        )
        return report

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

    async def _note_failure(self, ledger: Ledger, run: str, error: str) -> None:
        try:
            await ledger.finish(run, state="failed", finished_at=self._now(), error=error)
        except PipelineError as exc:  # the first error matters more
            log.warning("sync_failure_not_noted", error=str(exc))
