"""The app's home tab."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.messages import Person, Platform, Vote
from bot.slack.budget import Limit, LocalBudget
from bot.slack.home import MAX_QUESTIONS, Home, home_view
from bot.store import RecentQuestion, SqlRecent, SqlStore
from pipeline.knowledge.catalog import SourceStatus
from tests.fakes.samples import ANSWER, NOW, question, rating
from tests.fakes.slack_bot import SlackBot, memory_parts, running_bot

AT = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
SOURCE = SourceStatus("handbook", "acme", "directory", 12, 80, "done", AT, AT, None, ())
ASKED = RecentQuestion("How long?", "C1", AT, "answered", Vote.UP)
NONE = Home("U0BOT", (), ())


def text(home: Home) -> str:
    return "\n".join(b["text"]["text"] for b in home_view(home)["blocks"] if "text" in b)


def test_it_shows_sources_with_documents_and_the_time_of_the_last_sync_in_the_reader_s_time_zone() -> None:
    shown = text(replace(NONE, sources=(SOURCE,)))
    assert "*handbook* · 12 documents · synced <!date^1795595400^" in shown
    assert "|2026-11-25 08:30 UTC>" in shown


def test_a_source_whose_sync_failed_says_so_and_why_only_to_admins() -> None:
    failed = replace(SOURCE, state="failed", last_error="ConnectError: wiki.internal")
    shown = text(replace(NONE, sources=(failed,)))
    assert "may be out of date" in shown
    assert "wiki.internal" not in shown
    assert "wiki.internal" in text(replace(NONE, sources=(failed,), settings=()))


def test_it_shows_what_the_person_asked_where_and_how_they_rated_it() -> None:
    direct = replace(ASKED, text="Why?", conversation="D1", state="apologised", vote=None)
    shown = text(replace(NONE, asked=(ASKED, direct)))
    assert "How long?\n" in shown
    assert "in <#C1> · you found the answer helpful" in shown
    assert "<#D1>" not in shown
    assert "no answer, sorry" in shown


def test_nothing_that_somebody_wrote_comes_to_life() -> None:
    shown = text(replace(NONE, asked=(replace(ASKED, text="<!channel> *bold* <https://x|y>\n# h " + "w" * 5_000),)))
    assert "&lt;!channel&gt;" in shown
    assert "*bold*" not in shown
    assert max(len(line) for line in shown.splitlines()) < 400


def test_settings_are_for_admins() -> None:
    assert "Settings" not in text(NONE)
    assert "*Documents of*: acme" in text(replace(NONE, settings=[("Documents of", "acme")]))


def test_it_stays_within_slack_s_hundred_blocks() -> None:
    full = Home("U0BOT", [SOURCE] * 500, [ASKED] * 500, [("a", "b")] * 10)
    assert len(home_view(full)["blocks"]) <= 100


def test_who_has_asked_nothing_is_told_how() -> None:
    assert "mention <@U0BOT>" in text(NONE)
    assert "no documents" in text(NONE)


def opened(user: str, tab: str = "home") -> dict[str, str]:
    return {"type": "app_home_opened", "user": user, "channel": "D0ALICE", "tab": tab}


async def test_opening_the_tab_publishes_it_for_that_person(bot: SlackBot) -> None:
    assert (await bot.deliver(opened("U1")))[0] == 200
    await bot.deliver(opened("U0ADMIN"))
    await bot.deliver(opened("U2", tab="messages"))
    assert set(bot.slack.homes) == {"U1", "U0ADMIN"}
    assert "Settings" in str(bot.slack.homes["U0ADMIN"])
    assert "Settings" not in str(bot.slack.homes["U1"])


async def test_a_tab_that_is_one_too_many_for_slack_is_left_out() -> None:
    async with running_bot(parts=memory_parts(budget=LocalBudget({"views.publish": Limit(1, 0)}))) as bot:
        for user in ("U1", "U2"):
            assert (await bot.deliver(opened(user)))[0] == 200
        assert set(bot.slack.homes) == {"U1"}


async def test_in_a_workspace_that_is_nobody_s_it_says_only_that() -> None:
    async with running_bot(parts=memory_parts({})) as bot:
        await bot.deliver(opened("U0ADMIN"))
        (block,) = bot.slack.homes["U0ADMIN"]["blocks"]
        assert "not set up" in block["text"]["text"]


@pytest.fixture
def store(engine: AsyncEngine) -> SqlStore:
    return SqlStore(engine, now=lambda: NOW)


async def test_a_person_s_last_questions_come_newest_first_with_their_own_vote(
    store: SqlStore, engine: AsyncEngine
) -> None:
    for number in range(MAX_QUESTIONS + 2):
        asked = question(message_id=f"m{number:02d}", second=number)
        await store.add_question(asked)
        await store.set_reply(asked.id, f"reply-m{number:02d}")
        await store.set_answer(asked.id, ANSWER)
        await store.finish(asked.id, "answered")
    await store.apply_rating(replace(rating(), reply_id="reply-m11"))
    await store.apply_rating(replace(rating(), reply_id="reply-m10", person=Person("U2")))
    found = await SqlRecent(engine).recent(Platform.SLACK, "acme", Person("U1"), MAX_QUESTIONS)
    assert [(f.state, f.vote) for f in found[:2]] == [("answered", Vote.UP), ("answered", None)]
    assert len(found) == MAX_QUESTIONS
    assert found[0].asked_at > found[1].asked_at
    assert await SqlRecent(engine).recent(Platform.SLACK, "other", Person("U1"), 5) == []
    assert await SqlRecent(engine).recent(Platform.SLACK, "acme", Person("U2"), 5) == []
