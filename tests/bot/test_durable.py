"""Workflows on DBOS, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from bot.durable import Workflows
from bot.errors import StoreUnavailable
from bot.store import SqlStore, database_url, migrate, open_engine, workflow_database_url


class Work:
    """Notes what it is given; `hold` keeps it busy."""

    def __init__(self) -> None:
        self.done: list[tuple[str, bool]] = []
        self.begun: list[str] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def __call__(self, question_id: str, *, recovering: bool) -> None:
        self.begun.append(question_id)
        await self.hold.wait()
        self.done.append((question_id, recovering))


@asynccontextmanager
async def launched(folder: Path, work: Work) -> AsyncIterator[Workflows]:
    engine = open_engine(database_url(None, folder))
    await migrate(engine)
    workflows = Workflows(
        work=work,
        store=SqlStore(engine),
        database_url=workflow_database_url(None, folder),
        executor_id="one",
        drain_seconds=0.1,
        heartbeat=timedelta(seconds=0.05),
    )
    await workflows.launch()
    try:
        yield workflows
    finally:
        await workflows.close()
        await engine.dispose()


async def until(condition: object, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def test_a_question_started_twice_is_worked_on_once(tmp_path: Path) -> None:
    work = Work()
    async with launched(tmp_path, work) as workflows:
        await workflows.start("q-1", new=True)
        await workflows.start("q-1", new=False)
        await until(lambda: work.done)
        await workflows.start("q-1", new=False)
        await workflows.start("q-2", new=True)
        await until(lambda: len(work.done) == 2)
    assert sorted(work.done) == [("q-1", False), ("q-2", False)]


async def test_a_question_that_was_stored_before_may_have_a_reply_already(tmp_path: Path) -> None:
    work = Work()
    async with launched(tmp_path, work) as workflows:
        await workflows.start("q-1", new=False)
        await until(lambda: work.done)
    assert work.done == [("q-1", True)]


async def test_work_cut_off_by_a_stop_begins_again_after_the_next_start(tmp_path: Path) -> None:
    held = Work()
    held.hold.clear()
    async with launched(tmp_path, held) as workflows:
        await workflows.start("q-1", new=True)
        await until(lambda: held.begun)
    assert held.done == []
    work = Work()
    async with launched(tmp_path, work):
        await until(lambda: work.done)
    assert work.done == [("q-1", True)]


async def test_a_stop_waits_a_moment_for_running_work(tmp_path: Path) -> None:
    work = Work()
    work.hold.clear()
    async with launched(tmp_path, work) as workflows:
        await workflows.start("q-1", new=True)
        await until(lambda: work.begun)
        asyncio.get_running_loop().call_later(0.02, work.hold.set)
    assert work.done == [("q-1", False)]


async def test_a_bug_in_the_heartbeat_stops_neither_it_nor_the_shutdown(tmp_path: Path) -> None:
    work = Work()
    async with launched(tmp_path, work) as workflows:
        failures = [RuntimeError("a bug"), RuntimeError("again")]
        beats: list[str] = []

        async def beat(executor_id: str, _now: object) -> None:
            if failures:
                raise failures.pop()
            beats.append(executor_id)

        workflows._store.beat = beat  # type: ignore[method-assign,assignment]
        await until(lambda: len(beats) >= 2)


async def test_before_the_start_and_after_the_stop_questions_are_refused(tmp_path: Path) -> None:
    async with launched(tmp_path, Work()) as workflows:
        pass
    with pytest.raises(StoreUnavailable):
        await workflows.start("q-1", new=True)
