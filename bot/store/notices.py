"""What is said once and then not again for a while, whichever replica says it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.database import insert_or_ignore, store_errors
from bot.store.slack_tables import SlackNoticeRow


class SqlNotices:
    """Raises `StoreUnavailable`."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._now = now

    async def claim(self, key: str, pause: timedelta) -> bool:
        """True for one caller in each `pause`: that one says it."""
        now = self._now()
        with store_errors():
            async with self._engine.begin() as connection:
                row = {"key": key[:256], "said_at": now}
                if (await connection.execute(insert_or_ignore(self._engine, SlackNoticeRow), row)).rowcount == 1:
                    return True
                again = update(SlackNoticeRow).where(
                    SlackNoticeRow.key == key[:256], SlackNoticeRow.said_at <= now - pause
                )
                return (await connection.execute(again.values(said_at=now))).rowcount == 1
