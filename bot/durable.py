"""The durable workflow from an accepted question to its delivered reply (DBOS), and who takes over whose.

A workflow's id is its question's id and its only input, so a redelivered event starts nothing new and no text leaves our
own tables. The workflow has one part, `bot.work.AnswerWork`, which keeps its progress in the store: killed anywhere, it
begins again at the first thing that is missing.

DBOS recovers a replica's own workflows when it starts again under the same executor id. A replica that does not come back
is taken over: every replica writes a heartbeat, and whoever finds an old one recovers that executor's workflows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

import structlog
from dbos import DBOS, DBOSConfig, SetWorkflowID

from bot.errors import BotError, StoreUnavailable
from bot.store import SqlStore, prepare_workflow_database, store_errors

log = structlog.get_logger(__name__)

APPLICATION_VERSION = "1"
"""Bumped only when the workflow's shape changes: DBOS recovers workflows of the same version only."""

HEARTBEAT = timedelta(seconds=10)
DEAD_AFTER = timedelta(seconds=60)
"""A replica without a heartbeat for this long is taken over."""

DRAIN_SECONDS = 10.0
"""How long running answers may take when the bot is told to stop; the rest go on after the next start."""


class Work(Protocol):
    """Brings one question to its end; `bot.work.AnswerWork` is the real one."""

    def __call__(self, question_id: str, *, recovering: bool) -> Awaitable[None]: ...


class Workflows:
    """Starts, recovers and takes over workflows. One a process: DBOS is a singleton."""

    def __init__(
        self,
        *,
        work: Work,
        store: SqlStore,
        database_url: str,
        executor_id: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        heartbeat: timedelta = HEARTBEAT,
        dead_after: timedelta = DEAD_AFTER,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self._heartbeat = heartbeat
        self._dead_after = dead_after
        self._drain_seconds = drain_seconds
        self._work = work
        self._store = store
        self._executor_id = executor_id
        self._now = now
        self._fresh: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._steady_since: datetime | None = None
        self._last_beat = now()
        self._config: DBOSConfig = {
            "name": "promptai",
            "system_database_url": database_url,
            "executor_id": executor_id,
            "application_version": APPLICATION_VERSION,
            "log_level": "WARNING",
        }
        self._workflow: Callable[[str], Awaitable[None]] | None = None

    async def launch(self) -> None:
        """Connect, recover this replica's own workflows and begin the heartbeat. Raises `StoreUnavailable`."""
        DBOS(config=self._config)

        async def answer_question(question_id: str) -> None:  # DBOS marks the function, which a method does not allow
            await self._answer_question(question_id)

        self._workflow = DBOS.workflow(name="answer_question", max_recovery_attempts=None)(answer_question)
        try:
            with store_errors():
                await asyncio.to_thread(prepare_workflow_database, self._config["system_database_url"] or "")
                # Inside the running loop: workflows then share its sessions and engine.
                DBOS.launch()
        except StoreUnavailable:
            DBOS.destroy(destroy_registry=True)
            raise
        self._keeper = asyncio.create_task(self._keep())

    async def start(self, question_id: str, *, new: bool = False) -> None:
        """Start the question's workflow unless it has been started before.

        `new` says that the question has just been stored for the first time, so that no reply of it can exist yet.
        """
        if self._workflow is None:
            raise StoreUnavailable("The bot is starting or stopping; ask again in a moment.")
        if new:
            self._fresh.add(question_id)
        try:
            with store_errors(), SetWorkflowID(question_id):
                await DBOS.start_workflow_async(self._workflow, question_id)  # type: ignore[arg-type]
        except StoreUnavailable:
            self._fresh.discard(question_id)
            raise

    async def close(self) -> None:
        """Let running answers finish for a moment; what is still running begins again after the next start."""
        self._workflow = None
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._running:
            log.info("draining", questions=len(self._running), seconds=self._drain_seconds)
            await asyncio.wait(self._running, timeout=self._drain_seconds)
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        # DBOS made its own thread pool the loop's default and takes it along: the loop gets another one first.
        executor = ThreadPoolExecutor(thread_name_prefix="promptai")
        loop = asyncio.get_running_loop()
        loop.set_default_executor(executor)
        await loop.run_in_executor(executor, partial(DBOS.destroy, destroy_registry=True))

    async def _answer_question(self, question_id: str) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        recovering = question_id not in self._fresh
        self._fresh.discard(question_id)
        await self._work(question_id, recovering=recovering)

    async def _keep(self) -> None:
        """Write the heartbeat, and now and then look after what others left behind."""
        while True:
            try:
                await self._beat()
                await self._take_over()
                await self._start_forgotten()
            except Exception as error:  # whatever it is, without heartbeats another replica would take over this one
                self._steady_since = None
                log.warning("heartbeat_failed", error=str(error), exc_info=not isinstance(error, BotError))
            await asyncio.sleep(self._heartbeat.total_seconds())

    async def _beat(self) -> None:
        now = self._now()
        await self._store.beat(self._executor_id, now)
        if self._steady_since is None or now - self._last_beat > self._dead_after:
            self._steady_since = now
        self._last_beat = now

    async def _take_over(self) -> None:
        """Recover the workflows of replicas that are gone.

        Not before this replica has itself been beating for a while: after an outage of the database everybody's last
        heartbeat is old. Replicas' clocks must agree to within `dead_after`. Two replicas may do this at once: DBOS lets
        one of them run each workflow.
        """
        if self._steady_since is None or self._now() - self._steady_since < self._dead_after:
            return
        for executor_id in await self._store.dead_replicas(self._executor_id, self._now() - self._dead_after):
            log.warning("replica_taken_over", replica=executor_id)
            with store_errors():
                await asyncio.to_thread(DBOS._recover_pending_workflows, [executor_id])
            await self._store.forget_replica(executor_id)

    async def _start_forgotten(self) -> None:
        """Start questions that were stored by a process that died before it started their workflow."""
        for question_id in await self._store.unfinished(self._now() - self._dead_after):
            await self.start(question_id)
