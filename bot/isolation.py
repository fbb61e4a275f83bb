"""Proves again and again that tenants are kept apart, and refuses those that are not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from bot.errors import BotError
from bot.metrics import Metrics
from pipeline.errors import PipelineError
from pipeline.knowledge.canaries import Canaries, IsolationReport
from pipeline.retrieval.guard import GuardedRetriever

log = structlog.get_logger(__name__)


class IsolationWatch:
    """Plants every tenant's canary, looks for it as every other tenant, and tells retriever, metrics and log."""

    def __init__(
        self,
        canaries: Canaries,
        tenants: Callable[[], Awaitable[Sequence[str]]],
        retriever: GuardedRetriever,
        metrics: Metrics | None = None,
        *,
        every: float = 300.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`every`: seconds between checks."""
        self._canaries = canaries
        self._tenants = tenants
        self._retriever = retriever
        self._metrics = metrics
        self._every = every
        self._sleep = sleep

    def report_to(self, metrics: Metrics) -> None:
        """From now on count checks and leaks there."""
        self._metrics = metrics

    async def run(self) -> None:
        """Check for ever. A check that cannot be made changes nothing: whoever was refused stays refused."""
        while True:
            try:
                await self.check()
            except (PipelineError, BotError) as error:
                log.warning("isolation_not_checked", error=str(error))
            except Exception:  # a watch that has ended would say nothing about the next leak
                log.exception("isolation_not_checked")
            await self._sleep(self._every)

    async def check(self) -> IsolationReport:
        """One check. Raises what database and indexes raise."""
        tenants = await self._tenants()
        for tenant in tenants:
            await self._canaries.plant(tenant)
        report = await self._canaries.check(tenants)
        self._retriever.refuse(report.leaking)
        for leak in report.leaks:
            log.error("tenant_leak", reader=leak.reader, owner=leak.owner, place=leak.place)
        for tenant, place in report.blind:
            log.warning("canary_not_found", tenant=tenant, place=place)
        if self._metrics is not None:
            self._metrics.isolation_checks.inc()
            self._metrics.refused_tenants.set(len(report.leaking))
            for leak in report.leaks:
                self._metrics.leaks.labels(leak.reader, leak.owner, leak.place).inc()
        return report
