"""Removing a tenant leaves nothing of it, and everything of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.messages import Platform
from bot.store import Cipher, Installed, SqlInstallations, SqlStore, SqlTenants, new_key
from bot.store.removal import TABLES, SqlRemoval
from bot.store.tables import AnswerRow, Base, CitationRow, QuestionRow, RatingRow, ThreadTalkRow
from bot.tenancy import TenantLink
from pipeline.knowledge.tables import PassageRow, knowledge_metadata
from tests.bot.store.test_installations import ACME
from tests.fakes.samples import ANSWER, NOW, question, rating

NOBODYS = {
    "replicas",
    "experiments",
    "embedders",
    "adapter_promotions",
    "slack_oauth_states",
    "slack_notices",
    "slack_budgets",
    "switches",
}
"""Tables that hold nothing that a tenant said or wrote: of processes, and of workspaces."""


async def filled(engine: AsyncEngine) -> None:
    store, tenants = SqlStore(engine, now=lambda: NOW), SqlTenants(engine, default="default", now=lambda: NOW)
    for tenant in ("acme", "umbrella"):
        await tenants.add(tenant)
        await tenants.link(TenantLink(Platform.SLACK, f"T-{tenant}", None, tenant))
        asked = question(tenant=tenant, conversation=f"C-{tenant}")
        await store.add_question(asked)
        await store.set_answer(asked.id, ANSWER)
        await store.set_reply(asked.id, "reply-m1")
        async with engine.begin() as connection:
            talk = {"platform": "slack", "conversation": f"C-{tenant}", "thread": "t1", "person_id": "U1", "at": NOW}
            await connection.execute(insert(ThreadTalkRow), [talk])
            row = {
                "tenant": tenant, "id": "p9", "document_id": "d", "source": "s", "location": "l", "title": "t",
                "heading_path": [], "text": "x", "position": 0, "sync": "", "visible": True, "indexed_by": "",
            }  # fmt: skip
            await connection.execute(insert(PassageRow), [row])


async def count(engine: AsyncEngine, table: type) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


async def test_one_tenant_goes_with_all_that_hangs_on_it_and_the_other_stays(engine: AsyncEngine) -> None:
    await filled(engine)
    removal = SqlRemoval(engine)
    assert await removal.left("acme")
    lost = (await removal.remove("acme")).lost
    assert lost["questions"] == lost["passages"] == lost["tenant_links"] == lost["tenants"] == 1
    assert await removal.left("acme") == {}
    for table in (QuestionRow, AnswerRow, CitationRow, ThreadTalkRow, PassageRow):
        assert await count(engine, table) == 1
    assert await SqlTenants(engine, default="default").names() == ["default", "umbrella"]


async def test_ratings_go_with_their_questions(engine: AsyncEngine) -> None:
    store = SqlStore(engine, now=lambda: NOW)
    await store.add_question(question())
    await store.set_reply(question().id, "reply-m1")
    await store.set_answer(question().id, ANSWER)
    await store.apply_rating(rating())
    assert await count(engine, RatingRow) == 1
    await SqlRemoval(engine).remove("acme")
    assert await count(engine, RatingRow) == 0


def workspace(team: str, enterprise: str = "") -> Installed:
    return Installed(enterprise, team, f"Name of {team or enterprise}")


@pytest.mark.parametrize(
    ("links", "gone", "kept"),
    [
        ({"T1": "acme", "T2": "umbrella"}, {"T1"}, set()),
        ({"T1/C1": "acme"}, {"T1"}, set()),
        ({"T1": "acme", "T1/C1": "umbrella"}, set(), {"T1"}),
        ({"T1": "umbrella", "T1/C1": "acme"}, set(), {"T1"}),
        ({"E1": "acme"}, {"T3", "E1"}, set()),
        ({"E1": "acme", "T3": "umbrella"}, {"E1"}, {"T3"}),
        ({"E1": "umbrella", "T3": "acme"}, set(), {"T3"}),
        ({"E1": "acme", "T9": "umbrella"}, {"T3"}, {"E1"}),
        ({"T9": "acme"}, set(), {"E1"}),
        ({"T1": "umbrella"}, set(), set()),
    ],
)
async def test_slack_tokens_go_where_nobody_else_is_linked(
    engine: AsyncEngine, links: dict[str, str], gone: set[str], kept: set[str]
) -> None:
    """T1 and T2 are workspaces, T3 one of the organisation E1, which has the app too; T9 may be another one of E1's."""
    tenants, cipher = SqlTenants(engine, default="default"), Cipher(new_key())
    for name in ("acme", "umbrella"):
        await tenants.add(name)
    for place, tenant in links.items():
        team, _, channel = place.partition("/")
        await tenants.link(TenantLink(Platform.SLACK, team, channel or None, tenant))
    for each in (workspace("T1"), workspace("T2"), workspace("T3", "E1"), workspace("", "E1")):
        await SqlInstallations(engine, cipher).save(
            replace(ACME, enterprise_id=each.enterprise_id, team_id=each.team_id, name=each.name)
        )
    removal = SqlRemoval(engine)
    removed = await removal.remove("acme")
    assert {each.workspace for each in removed.installations} == gone
    assert {each.workspace for each in removed.kept} == kept
    assert removed.lost.get("slack_installations", 0) == len(gone)
    left = {found.workspace for found in await SqlInstallations(engine, cipher).all()}
    assert left == {"T1", "T2", "T3", "E1"} - gone
    assert await removal.left("acme", removed.installations) == {}


async def test_a_workspace_that_is_installed_again_meanwhile_is_noticed(engine: AsyncEngine) -> None:
    await SqlInstallations(engine, Cipher(new_key())).save(ACME)
    assert await SqlRemoval(engine).left("acme", [workspace("T1")]) == {"slack_installations": 1}


async def test_removing_nobody_removes_nothing(engine: AsyncEngine) -> None:
    await filled(engine)
    assert (await SqlRemoval(engine).remove("nobody")).lost == {}
    assert await count(engine, QuestionRow) == 2


def test_every_table_is_emptied_by_tenant_by_question_or_holds_nobodys_words() -> None:
    """Whoever adds a table decides here what a removal does to it."""
    by_question = {
        table.name
        for table in Base.metadata.tables.values()
        if any(key.column.table.name == "questions" and key.ondelete == "CASCADE" for key in table.foreign_keys)
    }
    known = {table.name for table in TABLES} | by_question | NOBODYS | {"tenants", "thread_talk", "slack_installations"}
    assert {*Base.metadata.tables, *knowledge_metadata.tables} - known == set()
