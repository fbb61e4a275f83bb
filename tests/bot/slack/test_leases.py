"""Rate budgets that two replicas share through one database, on SQLite and PostgreSQL. Time is passed in."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.slack.budget import Budget, Limit
from bot.slack.leases import LEASE_SECONDS, LeasedBudget, terms_for
from bot.store import SqlBudgets, database_url, open_engine

UPDATE, STREAM, STOP = "chat.update", "chat.startStream", "chat.stopStream"
LIMITS = {UPDATE: Limit(50, 10), STREAM: Limit(20, 0), STOP: Limit(20, 20)}


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def replicas(engine: AsyncEngine, clock: Clock) -> AsyncIterator[tuple[LeasedBudget, LeasedBudget]]:
    """Two replicas, each with connections of its own."""
    other = open_engine(engine.url)
    yield LeasedBudget(SqlBudgets(engine), LIMITS, clock), LeasedBudget(SqlBudgets(other), LIMITS, clock)
    await other.dispose()


async def drain(budget: Budget, method: str, *, reserved: bool = False, team: str = "T1") -> int:
    """Take until nothing is left; returns how many."""
    for taken in range(1000):
        if await budget.take(method, team, reserved=reserved):
            return taken
    raise AssertionError("The budget has no end.")


def most_in_a_window(times: list[float], seconds: float = 60.0) -> int:
    return max(sum(start <= t < start + seconds for t in times) for start in times)


@pytest.mark.parametrize("method", [UPDATE, STREAM])
async def test_two_greedy_replicas_together_never_exceed_the_limit_in_any_minute(
    replicas: tuple[LeasedBudget, LeasedBudget], clock: Clock, method: str
) -> None:
    chance, taken = random.Random(7), []
    end = clock.now + 300
    while clock.now < end:
        if await chance.choice(replicas).take(method, "T1", reserved=chance.random() < 0.2) == 0.0:
            taken.append(clock.now)
        clock.now += chance.choice([0.0, 0.05, 0.4, 3.0] if chance.random() < 0.3 else [0.05])
    assert most_in_a_window(taken) <= LIMITS[method].per_minute
    # And it is no use keeping the limit by doing nothing.
    assert len(taken) >= LIMITS[method].per_minute * 0.6 * 5


async def test_leases_that_are_used_at_their_last_moment_still_keep_the_limit(
    replicas: tuple[LeasedBudget, LeasedBudget], clock: Clock
) -> None:
    """The worst case: full buckets are leased, kept, and used just before they expire, and then everything at once."""
    taken = []
    for _ in range(40):
        taken += [clock.now for budget in replicas if await budget.take(UPDATE, "T1") == 0.0]
        clock.now += LEASE_SECONDS - 0.01
        for budget in replicas:
            taken += [clock.now] * await drain(budget, UPDATE)
    assert most_in_a_window(taken) <= 50


async def test_what_one_replica_takes_the_other_lacks(
    replicas: tuple[LeasedBudget, LeasedBudget],
) -> None:
    here, there = replicas
    first = await drain(here, UPDATE, reserved=True)
    assert first == terms_for(LIMITS[UPDATE]).burst == 10
    assert await there.take(UPDATE, "T1", reserved=True) > 0
    assert await there.take(UPDATE, "T2", reserved=True) == 0.0


async def test_spare_calls_leave_the_reserve_to_final_ones(replicas: tuple[LeasedBudget, LeasedBudget]) -> None:
    here, there = replicas
    assert await drain(here, UPDATE) == 8
    assert await drain(there, UPDATE) == 0
    assert await drain(there, UPDATE, reserved=True) == 2
    assert await drain(here, STOP) == 0
    assert await drain(here, STOP, reserved=True) == 4


async def test_a_pause_that_slack_asks_for_holds_for_all_replicas_and_ends_without_a_burst(
    replicas: tuple[LeasedBudget, LeasedBudget], clock: Clock
) -> None:
    here, there = replicas
    await here.pause(UPDATE, "T1", 30.0)
    for budget in replicas:
        assert await budget.take(UPDATE, "T1", reserved=True) == 30.0
    assert await there.take(UPDATE, "T2", reserved=True) == 0.0
    clock.now += 30.0
    assert await drain(here, UPDATE, reserved=True) == 0
    clock.now += 2.0
    assert await drain(there, UPDATE, reserved=True) == 1


async def test_a_wait_is_long_enough_and_not_in_vain(replicas: tuple[LeasedBudget, LeasedBudget], clock: Clock) -> None:
    for reserved in (False, True):
        await drain(replicas[0], UPDATE, reserved=reserved)
        clock.now += await replicas[0].take(UPDATE, "T1", reserved=reserved)
        assert await replicas[0].take(UPDATE, "T1", reserved=reserved) == 0.0


async def test_a_replica_whose_clock_is_behind_refills_nothing(engine: AsyncEngine, clock: Clock) -> None:
    behind = LeasedBudget(SqlBudgets(engine), LIMITS, lambda: clock.now - 4.0)
    ahead = LeasedBudget(SqlBudgets(engine), LIMITS, clock)
    taken = [clock.now] * await drain(ahead, UPDATE, reserved=True)
    for _ in range(60):
        clock.now += 1.0
        for budget in (behind, ahead):
            taken += [clock.now] * await drain(budget, UPDATE, reserved=True)
    assert most_in_a_window(taken) <= 50


async def test_an_idle_or_empty_budget_asks_the_database_nothing(engine: AsyncEngine, clock: Clock) -> None:
    statements: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    budget = LeasedBudget(SqlBudgets(engine), LIMITS, clock)
    assert await budget.take("chat.delete", "T1") == 0.0
    assert statements == []
    for reserved in (False, True):
        await drain(budget, UPDATE, reserved=reserved)
        asked = len(statements)
        for _ in range(100):
            assert await budget.take(UPDATE, "T1", reserved=reserved) > 0
        assert len(statements) == asked


async def test_a_database_that_is_down_lets_calls_through(clock: Clock) -> None:
    engine = create_async_engine(database_url("postgresql://nobody@127.0.0.1:9/none", None))  # type: ignore[arg-type]
    budget = LeasedBudget(SqlBudgets(engine), LIMITS, clock)
    assert await budget.take(UPDATE, "T1") == 0.0
    await budget.pause(UPDATE, "T1", 5.0)
    assert await budget.take(UPDATE, "T1") == 5.0
    await engine.dispose()
