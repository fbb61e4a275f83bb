"""Promotions of adapters in SQL: a record of every attempt, from which follows what is in service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy import insert, select, update

from bot.promotion import Outcome, Promotion
from bot.store.base import SqlPart
from bot.store.database import store_errors
from bot.store.operator_tables import PromotionRow
from pipeline.types import Role


class SqlPromotions(SqlPart):
    """Implements `bot.promotion.Promotions`. Raises `StoreUnavailable`."""

    async def record(self, promotion: Promotion) -> None:
        values = asdict(promotion) | {"role": promotion.role.value, "outcome": promotion.outcome.value}
        del values["id"]
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(insert(PromotionRow), values)

    async def in_service(self) -> Mapping[Role, str]:
        """See `Promotions`. The newest that is not rolled back serves."""
        return {p.role: p.adapter for p in await self.all() if p.took_effect and p.rolled_back_at is None}

    async def roll_back(self, role: Role) -> Promotion | None:
        standing = [p for p in await self.all() if p.role is role and p.took_effect and p.rolled_back_at is None]
        if not standing:
            return None
        with store_errors():
            async with self._engine.begin() as connection:
                this = update(PromotionRow).where(PromotionRow.id == standing[-1].id)
                await connection.execute(this.values(rolled_back_at=self._now()))
        return standing[-1]

    async def all(self) -> Sequence[Promotion]:
        table = PromotionRow.__table__
        with store_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(select(table).order_by(table.c.id))).mappings().all()
        return [Promotion(**{**row, "role": Role(row["role"]), "outcome": Outcome(row["outcome"])}) for row in rows]
