"""The record of syncs: what each did, or why it failed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from pipeline.errors import CatalogUnavailable, PipelineError
from pipeline.knowledge.catalog import catalog_errors
from pipeline.knowledge.tables import SyncRow

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did. The first five counts are documents."""

    added: int
    changed: int
    renamed: int
    """At another place, with the same content: it keeps its id, its history and its passages."""
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


class Runs:
    """The runs of one source of one tenant."""

    def __init__(self, engine: AsyncEngine, tenant: str, source: str, kind: str, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._tenant = tenant
        self._source = source
        self._kind = kind
        self._now = now

    async def begin(self) -> str:
        """Return the new run's id. Whichever run still says `running` was killed, and is noted as such."""
        run, now = uuid.uuid4().hex, self._now()
        row = {"tenant": self._tenant, "id": run, "source": self._source, "state": "running", "started_at": now}
        row["kind"] = self._kind
        running = (SyncRow.tenant == self._tenant, SyncRow.source == self._source, SyncRow.state == "running")
        with catalog_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    update(SyncRow).where(*running).values(state="failed", error="interrupted", finished_at=now)
                )
                await connection.execute(insert(SyncRow), [row])
        return run

    async def done(self, run: str, report: SyncReport) -> None:
        """Note a run that ended well."""
        counts = asdict(report) | {"failed": [list(each) for each in report.failed]}
        counts.pop("embedded")
        await self._finish(run, state="done", **counts)
        log.info("source_synced", source=self._source, tenant=self._tenant, **_summary(report))

    async def failed(self, run: str, error: BaseException) -> None:
        """Note a run that failed, if the database still can; the first error matters more than this one."""
        reason = str(error) if isinstance(error, PipelineError) else type(error).__name__
        try:
            await self._finish(run, state="failed", error=reason)
        except CatalogUnavailable as exc:
            log.warning("sync_failure_not_noted", source=self._source, tenant=self._tenant, error=str(exc))

    async def _finish(self, run: str, **values: Any) -> None:
        with catalog_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    update(SyncRow)
                    .where(SyncRow.tenant == self._tenant, SyncRow.id == run)
                    .values(finished_at=self._now(), **values)
                )


def _summary(report: SyncReport) -> dict[str, float]:
    names = ("added", "changed", "renamed", "removed")
    numbers: dict[str, float] = {name: getattr(report, name) for name in names}
    return numbers | {"failed": len(report.failed), "seconds": round(report.seconds, 1)}
