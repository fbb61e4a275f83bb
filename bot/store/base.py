"""What the parts of the store share: the engine, the clock and an insert that may be repeated."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.database import insert_or_ignore
from bot.store.tables import Base


class SqlPart:
    """Base of the store's parts."""

    def __init__(self, engine: AsyncEngine, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._engine = engine
        self._now = now

    def _insert(self, table: type[Base]) -> Any:
        return insert_or_ignore(self._engine, table)
