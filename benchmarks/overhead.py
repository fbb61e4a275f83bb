"""What the bot adds to a model's time: from Slack's signed event to the first and the final text in the thread.

    python -m benchmarks.overhead [--database sqlite|postgres|both] [--questions N] [--soak N] [--json FILE]

The bot is as `promptai serve` builds it (Slack's adapter with signature check, conversation, durable workflow, pipeline,
retriever, real database) with a model that answers at once from a script. Beside it runs bare DBOS: a handler that starts
a workflow whose one step posts. Each is a process of its own; Slack and the people who ask are in this process, and all
of them share the machine's cores. Concurrency is closed loop: so many people, each with one question at a time. The two
systems take turns at every concurrency, twice, so that what else the machine does hits both.

`--soak N` asks the bot N questions, 20 at once, and prints its memory every 1,000.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import psutil
import psycopg

from benchmarks.overhead_load import Crowd, MeasuringSlack
from benchmarks.overhead_report import Level, growth, memory_table, pooled, ratio, table
from tests.fakes.postgres import PostgresMissing, run_postgres

QUESTIONS = {1: 200, 20: 400, 100: 600}
"""Concurrency -> questions of each system on each database."""

ROUNDS = 2
WARM_UP = 40
SOAK_CONCURRENCY = 20
SOAK_STEP = 1_000
SYSTEMS = ("promptai", "bare")


class Subject:
    """A running system under measurement."""

    def __init__(self, database: str, system: str, url: str, process: psutil.Process, crowd: Crowd) -> None:
        self.database = database
        self.system = system
        self._url = url
        self._process = process
        self._crowd = crowd

    async def ask(self, questions: int, concurrency: int) -> Level:
        samples, seconds = await self._crowd.ask(self._url, questions, concurrency)
        return Level(self.database, self.system, concurrency, tuple(samples), seconds)

    def memory(self) -> float:
        """Resident MB."""
        return float(self._process.memory_info().rss / 2**20)

    def computing(self) -> float:
        """Seconds of processor time so far: unlike the clock, little moved by what else the machine does."""
        times = self._process.cpu_times()
        return float(times.user + times.system)


@asynccontextmanager
async def subject(database: str, system: str, folder: Path, server: str | None) -> AsyncIterator[Subject]:
    """Start a system on a fresh database, with a Slack of its own. `server`: PostgreSQL's URL."""
    home = folder / f"{database}-{system}"
    home.mkdir()
    arguments = [fresh_database(server, system)] if server else []
    async with (
        MeasuringSlack(once=system == "bare") as slack,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        with (home / "log").open("wb") as log:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "benchmarks.overhead_server", system, str(home), slack.url, *arguments),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert child.stdout is not None
        try:
            url = (await asyncio.wait_for(child.stdout.readline(), 120)).decode().strip()
            if not url:
                raise SystemExit(f"{system} did not start:\n{(home / 'log').read_text()[-3000:]}")
            found = Subject(database, system, url, psutil.Process(child.pid), Crowd(slack, session))
            await found.ask(WARM_UP, 4)
            yield found
            if slack.surplus:
                raise SystemExit(f"{system} posted {slack.surplus} texts too many or wrong ones.")
        finally:
            if child.returncode is None:
                child.terminate()
            try:
                await asyncio.wait_for(child.wait(), 20)
            except TimeoutError:
                child.kill()
                await child.wait()


async def compare(database: str, folder: Path, server: str | None, questions: int | None) -> list[tuple[Level, Level]]:
    """Both systems at every concurrency."""
    rounds: dict[tuple[str, int], list[Level]] = {}
    async with AsyncExitStack() as stack:
        subjects = [await stack.enter_async_context(subject(database, system, folder, server)) for system in SYSTEMS]
        for turn in range(ROUNDS):
            for concurrency, usual in QUESTIONS.items():
                for each in subjects if turn % 2 == 0 else reversed(subjects):
                    note(f"{database}, {concurrency} at once, {each.system}, round {turn + 1} of {ROUNDS}")
                    level = await each.ask((questions or usual) // ROUNDS or 1, concurrency)
                    rounds.setdefault((each.system, concurrency), []).append(level)
    merged = {key: pooled(levels) for key, levels in rounds.items()}
    return [(merged["promptai", concurrency], merged["bare", concurrency]) for concurrency in QUESTIONS]


async def soak(database: str, folder: Path, server: str | None, questions: int) -> list[tuple[int, float]]:
    """The bot's memory after every 1,000 questions."""
    async with subject(database, "promptai", folder, server) as bot:
        memory = [(0, bot.memory())]
        for asked in range(SOAK_STEP, questions + 1, SOAK_STEP):
            began = bot.computing()
            level = await bot.ask(SOAK_STEP, SOAK_CONCURRENCY)
            memory.append((asked, bot.memory()))
            each = (bot.computing() - began) / SOAK_STEP * 1000
            note(
                f"{database}, {asked:,} questions, {level.per_second:.0f} a second, {each:.1f} ms of processor time each"
            )
    return memory


def fresh_database(server: str, name: str) -> str:
    """An empty database on the PostgreSQL server."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name}")
        connection.execute(f"CREATE DATABASE {name}")
    return server.rsplit("/", 1)[0] + "/" + name


@contextmanager
def servers(wanted: str, folder: Path) -> Iterator[dict[str, str | None]]:
    """Database kind -> PostgreSQL's URL, or None for SQLite. Leaves PostgreSQL out where it is not installed."""
    chosen: dict[str, str | None] = {"SQLite": None} if wanted != "postgres" else {}
    if wanted == "sqlite":
        yield chosen
        return
    try:
        with run_postgres(folder, durable=True) as url:
            yield {**chosen, "PostgreSQL": url}
    except PostgresMissing as missing:
        print(f"PostgreSQL is left out: {missing}")
        yield chosen


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--questions", type=int, metavar="N", help="questions at each concurrency")
    parser.add_argument("--soak", type=int, default=0, metavar="N", help="ask N questions and print the bot's memory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    print(
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, Python {platform.python_version()}, ", end=""
    )
    print(f"load before the run {load:.1f}", flush=True)
    figures: dict[str, object] = {"load": load, "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="promptai-overhead-") as name, servers(given.database, Path(name)) as urls:
        for database, server in urls.items():
            if given.soak:
                memory = asyncio.run(soak(database, Path(name), server, given.soak))
                print(f"\n{database}: the bot's memory, {SOAK_CONCURRENCY} questions at once\n\n{memory_table(memory)}")
                figures[database] = {"memory": memory, "growth": growth(memory)}
            else:
                pairs = asyncio.run(compare(database, Path(name), server, given.questions))
                print(f"\n{table(pairs)}", flush=True)
                figures[database] = [
                    {"promptai": asdict(ours), "bare": asdict(bare), "ratio": ratio(ours, bare)} for ours, bare in pairs
                ]
    if given.json:
        given.json.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
