"""Syncs the sources of `knowledge.toml` whose time has come, while the bot serves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

import structlog

from bot.errors import BotError
from bot.metrics import Metrics
from pipeline.errors import PipelineError, SyncBusy
from pipeline.knowledge.catalog import SourceStatus
from pipeline.knowledge.schedules import Timetable
from pipeline.knowledge.sources import Entry

log = structlog.get_logger(__name__)


class _Statuses(Protocol):
    async def sources(self, tenant: str) -> Sequence[SourceStatus]: ...


class Schedule:
    """A plain loop. The catalog says when a source was last begun, and a lease lets one replica sync it: the others
    then find that it is not due."""

    def __init__(
        self,
        declared: Callable[[], Awaitable[Sequence[Entry]]],
        catalog: _Statuses,
        sync: Callable[[Entry], Awaitable[object]],
        metrics: Metrics | None = None,
        *,
        every: float = 30.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`every`: seconds between two looks."""
        self._declared = declared
        self._catalog = catalog
        self._sync = sync
        self._metrics = metrics
        self._every = every
        self._now = now
        self._sleep = sleep

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await self._sleep(self._every)

    async def look(self) -> None:
        """Sync what is due, one after the other. Errors are logged: the next look tries what is due then."""
        try:
            due = [entry for entry in await self._declared() if entry.schedule and await self._is_due(entry)]
        except (PipelineError, BotError) as error:
            log.warning("schedule_not_read", error=str(error))
            return
        except Exception:  # nobody would notice that nothing is synced any more
            log.exception("schedule_not_read")
            return
        for entry in due:
            await self._run(entry)

    async def _is_due(self, entry: Entry) -> bool:
        statuses = {status.name: status for status in await self._catalog.sources(entry.tenant)}
        last = statuses.get(entry.name)
        return Timetable(entry.schedule).due(last.started_at if last else None, self._now())

    async def _run(self, entry: Entry) -> None:
        outcome = "done"
        try:
            await self._sync(entry)
        except SyncBusy:
            log.info("scheduled_sync_left_to_another", source=entry.name, tenant=entry.tenant)
            return
        except (PipelineError, BotError) as error:
            outcome = "failed"
            log.warning("scheduled_sync_failed", source=entry.name, tenant=entry.tenant, error=str(error))
        except Exception:  # a source of somebody's own; the loop must go on for the others
            outcome = "failed"
            log.exception("scheduled_sync_failed", source=entry.name, tenant=entry.tenant)
        if self._metrics:
            self._metrics.syncs.labels(source=entry.name, outcome=outcome).inc()
