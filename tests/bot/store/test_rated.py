"""Rated answers for training data, on SQLite and PostgreSQL: of those who agreed, with what stands today."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.experiments import Unit
from bot.messages import Person, Platform, Question, Rating, Reason, Vote
from bot.store import SqlConsents, SqlExperiments, SqlRated, SqlStore, SqlTenants, rated
from bot.store.tables import CitationRow
from pipeline.knowledge.tables import DocumentRow
from pipeline.training.rated import RatedAnswer
from pipeline.types import Mode
from tests.fakes.samples import ANSWER, NOW, question, rating

ADA, BOB = Person("U1", "Ada Lovelace"), Person("U2", "bob")


class Bot:
    """A store with answered questions, and what comes out of it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.store = SqlStore(engine, now=lambda: NOW)
        self.consents = SqlConsents(engine, default="acme", now=lambda: NOW)

    async def answered(self, asked: Question, *ratings: Rating) -> Question:
        await self.store.add_question(asked)
        await self.store.set_reply(asked.id, f"reply-{asked.message_id}")
        await self.store.set_answer(asked.id, ANSWER)
        for given in ratings:
            reply = {"tenant": asked.tenant, "platform": asked.platform, "conversation": asked.conversation}
            await self.store.apply_rating(replace(given, reply_id=f"reply-{asked.message_id}", **reply))
        return asked

    async def agree(self, tenant: str = "acme") -> None:
        await SqlTenants(self.engine, default="acme").add(tenant)
        await self.consents.decide(tenant, given=True, decided_by="J. Doe")

    async def rated(self) -> list[RatedAnswer]:
        return [answer async for answer in SqlRated(self.engine).answers(await self.consents.agreed())]


@pytest.fixture
def bot(engine: AsyncEngine) -> Bot:
    return Bot(engine)


async def test_only_rated_answers_of_tenants_that_agreed_are_read(bot: Bot) -> None:
    """The others are counted; a withdrawal leaves everything out."""
    await bot.answered(question(), rating())
    await bot.answered(question(message_id="m2"))
    await bot.answered(question(tenant="umbrella", message_id="m3"), rating())
    assert await bot.rated() == []
    await bot.agree("acme")
    (only,) = await bot.rated()
    assert (only.tenant, only.platform, only.question, only.answer) == ("acme", "slack", "What is it?", ANSWER)
    assert only.consent.at == NOW
    assert await SqlRated(bot.engine).without_consent(["acme"]) == 1
    await bot.consents.decide("acme", given=False, decided_by="J. Doe")
    assert await bot.rated() == []


async def test_a_consent_may_begin_on_a_day(bot: Bot) -> None:
    """What was asked before is not covered."""
    await bot.answered(question(), rating())
    await bot.answered(question(message_id="m2", second=60), rating())
    await bot.consents.decide("acme", given=True, decided_by="x", covers_from=NOW + timedelta(seconds=30))
    (only,) = await bot.rated()
    assert only.asked_at == NOW + timedelta(seconds=60)


async def test_one_vote_a_person_counts_and_a_withdrawn_one_is_gone(bot: Bot) -> None:
    """The latest gesture is the vote; without any the answer is not rated."""
    await bot.agree()
    changed = (rating(), rating(vote=Vote.DOWN, second=5))
    gone = (rating(person=BOB), rating(person=BOB, removed=True, second=9))
    await bot.answered(question(), *changed, *gone)
    await bot.answered(question(message_id="m2"), *gone)
    (only,) = await bot.rated()
    assert [vote.up for vote in only.votes] == [False]


async def test_experts_reasons_and_comments_come_along_and_only_slacks_dialog_asked_for_the_answer(bot: Bot) -> None:
    """Teams' own form collects feedback of any kind."""
    await bot.agree()
    given = replace(rating(vote=Vote.DOWN), reason=Reason.WRONG, comment="It is five seconds.", expert=True)
    await bot.answered(question(), given)
    await bot.answered(question(message_id="m2", second=1, platform=Platform.TEAMS), replace(given, reason=None))
    slack, teams = (answer.votes[0] for answer in await bot.rated())
    assert (slack.expert, slack.reason, slack.correction) == (True, "wrong", "It is five seconds.")
    assert (teams.reason, teams.correction) == ("", "")


async def test_changed_documents_experiments_and_versions_are_told(bot: Bot) -> None:
    """Stale answers, the arm that answered, and the content hash that stands today."""
    await bot.agree()
    experiments = SqlExperiments(bot.engine, now=lambda: NOW)
    await experiments.start("june", (Mode.RAG, Mode.COMBINED), Unit.PERSON)
    asked = await bot.answered(question(), rating())
    arm = await experiments.mode_for(asked, Mode.RAG)
    document = {
        "tenant": "shared", "id": "docs:page.md", "version": 1, "source": "docs", "location": "page.md", "title": "Page",
        "text": "x", "content_hash": "h5", "file_hash": "f", "recipe": "r", "sync": "s", "visible": True, "updated_at": NOW,
    }  # fmt: skip
    async with bot.engine.begin() as connection:
        await connection.execute(insert(DocumentRow), [document, {**document, "version": 2, "visible": False}])
    (before,) = await bot.rated()
    assert (before.stale, before.experiment, before.versions) == (False, f"june/{arm}", {"docs:page.md": "h5"})
    async with bot.engine.begin() as connection:
        await connection.execute(update(CitationRow).values(stale_since=NOW))
    (after,) = await bot.rated()
    assert after.stale


async def test_names_of_askers_and_raters_are_told_for_scrubbing(bot: Bot) -> None:
    """Of the tenants that are read, each once."""
    await bot.answered(replace(question(), person=ADA), rating(person=BOB), rating(person=ADA))
    await bot.answered(replace(question(tenant="umbrella", message_id="m2"), person=Person("U3", "Grace")))
    assert await SqlRated(bot.engine).names(["acme"]) == ["Ada Lovelace", "bob"]


async def test_many_answers_are_read_page_by_page(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is lost or doubled between pages, and the order is that of asking."""
    monkeypatch.setattr(rated, "PAGE", 2)
    await bot.agree()
    for at in range(5):
        await bot.answered(question(message_id=f"m{at}", second=-at), rating(), rating(person=BOB))
    asked = [answer.asked_at for answer in await bot.rated()]
    assert asked == [NOW - timedelta(seconds=at) for at in range(4, -1, -1)]
