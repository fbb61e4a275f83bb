"""Token buckets in SQL that several replicas draw from.

A bucket gives out at most `burst + rate * T` tokens in any T seconds, whoever draws and however many.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.store.database import insert_or_ignore, store_errors
from bot.store.slack_tables import SlackBudgetRow


@dataclass(frozen=True, slots=True)
class Terms:
    """How a bucket fills."""

    burst: float
    """Tokens that it holds at most."""
    rate: float
    """Tokens that flow in each second."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket as it was left."""

    tokens: float
    at: float
    """Unix time, seconds."""
    paused_until: float = 0.0
    """Nothing is given out before this Unix time."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was given out."""

    tokens: int
    wait: float
    """Seconds until one more may be there."""


def draw(bucket: Bucket, terms: Terms, *, now: float, want: int, floor: float) -> tuple[Bucket, Drawn]:
    """Take up to `want` tokens and leave `floor` in the bucket. Pure; a `now` before the last draw adds nothing."""
    if now < bucket.paused_until:
        return bucket, Drawn(0, bucket.paused_until - now)
    tokens = min(terms.burst, bucket.tokens + terms.rate * max(0.0, now - bucket.at))
    # A hair more than the difference: rounding must not make a token wait for ever.
    given = max(0, min(want, int(tokens - floor + 1e-9)))
    left = tokens - given
    return replace(bucket, tokens=left, at=max(bucket.at, now)), Drawn(given, max(0.0, floor + 1 - left) / terms.rate)


def paused(bucket: Bucket, until: float) -> Bucket:
    """Closed until then, and empty afterwards: who asked for a pause does not want a burst after it."""
    return Bucket(tokens=0.0, at=max(bucket.at, until), paused_until=max(bucket.paused_until, until))


class SqlBudgets:
    """Buckets by workspace and method. Raises `StoreUnavailable`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def draw(
        self, workspace: str, method: str, terms: Terms, *, now: float, want: int, floor: float = 0.0
    ) -> Drawn:
        """Take up to `want` tokens at Unix time `now`; a new bucket is full."""
        with store_errors():
            async with self._engine.begin() as connection:
                bucket = await self._locked(connection, workspace, method, Bucket(terms.burst, now))
                bucket, drawn = draw(bucket, terms, now=now, want=want, floor=floor)
                await self._write(connection, workspace, method, bucket)
        return drawn

    async def pause(self, workspace: str, method: str, *, now: float, until: float) -> None:
        """Give out nothing before Unix time `until`."""
        with store_errors():
            async with self._engine.begin() as connection:
                bucket = await self._locked(connection, workspace, method, Bucket(0.0, now))
                await self._write(connection, workspace, method, paused(bucket, until))

    async def _locked(self, connection: AsyncConnection, workspace: str, method: str, new: Bucket) -> Bucket:
        """The bucket, with its row locked. On SQLite a first write takes the database's one write lock."""
        key = {"workspace": workspace, "method": method}
        values = {"tokens": new.tokens, "at": new.at, "paused_until": new.paused_until}
        await connection.execute(insert_or_ignore(self._engine, SlackBudgetRow), {**key, **values})
        columns = (SlackBudgetRow.tokens, SlackBudgetRow.at, SlackBudgetRow.paused_until)
        row = (await connection.execute(select(*columns).filter_by(**key).with_for_update())).one()
        return Bucket(row.tokens, row.at, row.paused_until)

    @staticmethod
    async def _write(connection: AsyncConnection, workspace: str, method: str, bucket: Bucket) -> None:
        mine = update(SlackBudgetRow).filter_by(workspace=workspace, method=method)
        await connection.execute(mine.values(tokens=bucket.tokens, at=bucket.at, paused_until=bucket.paused_until))
