"""Brings the catalog and both indexes in line with a source, incrementally."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from pipeline.errors import IndexUnavailable
from pipeline.knowledge.catalog import Catalog
from pipeline.knowledge.convert import CONVERTER_VERSION, MAX_BYTES
from pipeline.knowledge.embedders import Embedders
from pipeline.knowledge.indexing import Indexes
from pipeline.knowledge.leases import Leases
from pipeline.knowledge.ledger import Ledger
from pipeline.knowledge.listing import list_source
from pipeline.knowledge.passages import SPLITTER_VERSION, TARGET_TOKENS, Splitter
from pipeline.knowledge.reading import Reader
from pipeline.knowledge.runs import Runs, SyncReport
from pipeline.knowledge.sources import Source
from pipeline.knowledge.staging import Progress, Staging
from pipeline.knowledge.workers import Workers
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
    language: str
    release: str
    dry: bool


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
        holder: str = "local",
        workers: Callable[[], Workers] | None = None,
        before: Callable[[], Awaitable[object]] | None = None,
        after_switch: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`holder`: this process among those that share the database; a successor in its place has the same name.

        `before` is awaited before each sync that writes, to `use` an embedder that was promoted meanwhile. `after_switch` is
        awaited whenever readers see other documents than before; it must not raise.
        """
        self._before = before
        self._after_switch = after_switch
        self._catalog = catalog
        self._indexes = Indexes(embedder, vectors, keywords)
        self._target_tokens = target_tokens
        self._workers = workers or (lambda: Workers(max_bytes=max_bytes))
        self._now = now
        self._leases = Leases(catalog.engine, holder, now)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def sync(
        self,
        source: Source,
        *,
        tenant: str,
        progress: Progress | None = None,
        allow_empty: bool = False,
        language: str = "",
        release: str = "",
        dry: bool = False,
    ) -> SyncReport:
        """Make the documents of `source` those of `tenant`.

        Readers see the old documents until all new ones are indexed, and then all new ones. Killed at any point,
        nothing changes for them, and the next sync finishes or undoes what was begun.

        `language`, `release`: of documents that do not say otherwise. `dry`: report what would happen; `passages` is
        then the number that would be written.

        Errors: `SourceNotFound` (also for a source that suddenly is empty, unless `allow_empty`), `SyncBusy` (another
        process syncs this tenant), `IndexUnavailable`, `CatalogUnavailable`; readers then keep what they had.
        """
        order = _Order(source, tenant, progress, allow_empty, language, release, dry)
        if self._before is not None and not dry:
            await self._before()
        async with self._locks[tenant]:
            if dry:
                return await self._rehearse(order)
            async with self._leases.hold(tenant):
                return await self._recorded(order)

    def use(self, embedder: Embedder, vectors: VectorIndex) -> None:
        """Index with another embedder from now on. Not while a sync runs: hold them `paused`, or do it as their `before`."""
        self._indexes = Indexes(embedder, vectors, self._indexes.keywords)

    @asynccontextmanager
    async def paused(self, tenants: Iterable[str]) -> AsyncIterator[None]:
        """No sync of these tenants runs meanwhile, in no process. Raises `SyncBusy` where another process runs one."""
        async with AsyncExitStack() as stack:
            for tenant in sorted(set(tenants)):
                await stack.enter_async_context(self._locks[tenant])
                await stack.enter_async_context(self._leases.hold(tenant))
            yield

    async def _recorded(self, order: _Order) -> SyncReport:
        runs = Runs(self._catalog.engine, order.tenant, order.source.name, order.source.kind, self._now)
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
        fingerprint = await self._fingerprint()
        await self._check_indexes(ledger, order.tenant, fingerprint)
        await ledger.clear()
        staging = await self._staged(run, ledger, order, fingerprint)
        if staging.wrote or staging.removed:
            await ledger.switch(run, staging.removed, staging.moved, self._now())
        if self._after_switch is not None:
            await self._after_switch()
        repaired = await self._repair(ledger, order.tenant, fingerprint)
        await self._collect(ledger, order.tenant)
        report = _report(staging, await ledger.passages(), started)
        return replace(report, embedded=report.embedded + repaired)

    async def _rehearse(self, order: _Order) -> SyncReport:
        """Read everything and write nothing."""
        started = time.monotonic()
        ledger = Ledger(self._catalog.engine, order.tenant, order.source.name)
        staging = await self._staged("", ledger, order, await self._fingerprint())
        return _report(staging, staging.prepared, started)

    async def _fingerprint(self) -> str:
        # Fingerprint and tokenizer are read from the model's folder: off the event loop.
        embedder = self._indexes.embedder
        return await asyncio.to_thread(lambda: embedder.fingerprint)

    async def _staged(self, run: str, ledger: Ledger, order: _Order, fingerprint: str) -> Staging:
        listing = await list_source(order.source, await ledger.known(), allow_empty=order.allow_empty)
        workers = self._workers()
        try:
            reader = Reader(
                tenant=order.tenant,
                source=order.source.name,
                recipe=f"c{CONVERTER_VERSION}.s{SPLITTER_VERSION}.t{self._target_tokens}.{fingerprint}",
                splitter=Splitter(self._indexes.embedder, target_tokens=self._target_tokens),
                identities=listing.identities,
                convert=workers.convert,
                language=order.language,
                release=order.release,
            )
            staging = Staging(run, ledger, self._indexes, reader, fingerprint, self._now(), dry=order.dry)
            staging.failed += [(where, "the source has it twice; the first one counts") for where in listing.twice]
            await staging.stage(listing.files, order.progress)
        finally:
            await asyncio.to_thread(workers.close)
        return staging

    async def _check_indexes(self, ledger: Ledger, tenant: str, fingerprint: str) -> None:
        if await self._indexes.hold_fewer_than(tenant, await ledger.indexed(fingerprint)):
            log.warning("index_lost_passages", tenant=tenant)
            await ledger.distrust_indexes()

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
            await self._indexes.vectors.prune(tenant, await Embedders(self._catalog.engine).kept())
        except IndexUnavailable as exc:
            log.warning("garbage_left_in_index", tenant=tenant, error=str(exc))


def _report(staging: Staging, passages: int, started: float) -> SyncReport:
    return SyncReport(
        added=staging.added,
        changed=staging.changed,
        renamed=staging.renamed,
        removed=len(staging.removed),
        unchanged=staging.unchanged,
        failed=tuple(staging.failed),
        passages=passages,
        embedded=staging.embedded,
        seconds=time.monotonic() - started,
    )
