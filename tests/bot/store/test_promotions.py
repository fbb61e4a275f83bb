"""Promotions of adapters, on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.promotion import Outcome, Promotion
from bot.store import SqlPromotions
from pipeline.types import Role
from tests.fakes.samples import NOW

FIRST = Promotion(
    role=Role.DRAFT, adapter="docs-v1", outcome=Outcome.PROMOTED, replaces="tgi", reason="",
    figures={"figures": [{"metric": "page nDCG@10", "difference": 0.05}]}, adapter_hash="a" * 64, data_hash="d" * 64,
    decided_by="noa", decided_at=NOW,
)  # fmt: skip
SECOND = replace(FIRST, adapter="docs-v2", replaces="docs-v1")


@pytest.fixture
def promotions(engine: AsyncEngine) -> SqlPromotions:
    return SqlPromotions(engine, now=lambda: NOW)


async def test_without_a_promotion_nothing_is_in_service_and_nothing_is_rolled_back(promotions: SqlPromotions) -> None:
    assert await promotions.in_service() == {}
    assert await promotions.roll_back(Role.DRAFT) is None


async def test_the_newest_promoted_adapter_of_each_role_is_in_service(promotions: SqlPromotions) -> None:
    for promotion in (FIRST, SECOND, replace(FIRST, role=Role.ANSWER, outcome=Outcome.FORCED, reason="a trial")):
        await promotions.record(promotion)
    assert await promotions.in_service() == {Role.DRAFT: "docs-v2", Role.ANSWER: "docs-v1"}


async def test_a_refused_adapter_is_on_record_and_not_in_service(promotions: SqlPromotions) -> None:
    refused = replace(SECOND, outcome=Outcome.REFUSED, reason="It is not better.")
    await promotions.record(FIRST)
    await promotions.record(refused)
    assert await promotions.in_service() == {Role.DRAFT: "docs-v1"}
    assert [replace(promotion, id=0) for promotion in await promotions.all()] == [FIRST, refused]


async def test_rolling_back_puts_what_was_replaced_in_service_step_by_step(promotions: SqlPromotions) -> None:
    await promotions.record(FIRST)
    await promotions.record(replace(FIRST, role=Role.ANSWER))
    await promotions.record(SECOND)
    taken = await promotions.roll_back(Role.DRAFT)
    assert taken is not None
    assert taken.adapter == "docs-v2"
    assert await promotions.in_service() == {Role.DRAFT: "docs-v1", Role.ANSWER: "docs-v1"}
    await promotions.roll_back(Role.DRAFT)
    assert await promotions.in_service() == {Role.ANSWER: "docs-v1"}
    assert (await promotions.all())[2].rolled_back_at == NOW
