"""Accepted once, answered once: processes are killed in mid-answer, restarted or taken over."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

QUESTIONS = 40

PATIENCE = 180.0
"""Seconds: a machine with other work may need many times the usual few. Only a hang reaches it."""


@asynccontextmanager
async def replica(
    folder: Path, executor: str, count: int, seconds: float, url: str | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A bot process that has accepted its questions; killed at the end."""
    arguments = [str(folder), executor, str(count), str(seconds), *([url] if url else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.replica", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        assert line == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


def delivered(folder: Path) -> Counter[str]:
    """How often each question was delivered."""
    file = folder / "delivered"
    return Counter(file.read_text().split()) if file.exists() else Counter()


async def all_delivered(folder: Path) -> Counter[str]:
    for _ in range(int(PATIENCE * 10)):
        if len(delivered(folder)) == QUESTIONS:
            await asyncio.sleep(0.5)
            return delivered(folder)
        await asyncio.sleep(0.1)
    raise AssertionError(
        f"Only {len(delivered(folder))} of {QUESTIONS} questions were answered within {PATIENCE:.0f} s."
    )


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else _fresh_database(request.getfixturevalue("postgres"))


def _fresh_database(server: str) -> str:
    """A database of its own: DBOS keeps its tables beside ours."""
    import psycopg

    name = f"killed_{_fresh_database.__dict__.setdefault('count', 0)}"
    _fresh_database.__dict__["count"] += 1
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    return server.rsplit("/", 1)[0] + "/" + name


async def test_questions_killed_in_mid_answer_are_answered_once_after_a_restart(
    tmp_path: Path, url: str | None
) -> None:
    """kill -9 while all are being answered; the same executor starts again."""
    async with replica(tmp_path, "one", QUESTIONS, 30.0, url):
        assert len((tmp_path / "opened").read_text().split()) > 0
    assert delivered(tmp_path) == Counter()
    async with replica(tmp_path, "one", 0, 0.05, url):
        counts = await all_delivered(tmp_path)
    assert set(counts.values()) == {1}


async def test_events_delivered_again_after_the_restart_change_nothing(tmp_path: Path, url: str | None) -> None:
    """The platform sends all events again while the recovered ones are running."""
    async with replica(tmp_path, "one", QUESTIONS, 30.0, url):
        pass
    async with replica(tmp_path, "one", QUESTIONS, 0.05, url):
        counts = await all_delivered(tmp_path)
    assert set(counts.values()) == {1}


async def test_another_replica_takes_over_what_a_dead_one_left(tmp_path: Path, postgres: str) -> None:
    """The first replica never comes back; the second one answers its questions."""
    url = _fresh_database(postgres)
    async with replica(tmp_path, "one", QUESTIONS, 30.0, url):
        pass
    async with replica(tmp_path, "two", 0, 0.05, url):
        counts = await all_delivered(tmp_path)
    assert set(counts.values()) == {1}


async def test_two_replicas_that_get_the_same_events_answer_once(tmp_path: Path, postgres: str) -> None:
    """Both are alive and accept every question."""
    url = _fresh_database(postgres)
    async with replica(tmp_path, "one", QUESTIONS, 1.0, url), replica(tmp_path, "two", QUESTIONS, 1.0, url):
        counts = await all_delivered(tmp_path)
    assert set(counts.values()) == {1}
