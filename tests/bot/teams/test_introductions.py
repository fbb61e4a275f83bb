"""What the bot says when nobody asks the documentation: welcome, help, clearing ratings, refusals."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.teams import texts
from tests.fakes.teams_activities import (
    ADA,
    BOT,
    TENANT,
    activity,
    channel,
    channel_message,
    feedback,
    message,
    reaction,
)
from tests.fakes.teams_bot import TeamsBot, running_bot, signed_settings, unsigned_settings

CHAT = "a:chat-1"
ADDED = activity("conversationUpdate", membersAdded=[ADA, BOT], id="c1")
EXAMPLES = "How do I export?|What is a stall?|Why is it slow?|And a fourth one?"


async def said(bot: TeamsBot, chat: str = CHAT, count: int = 1) -> list[dict[str, Any]]:
    """Wait until the bot has said that much, and give it time to say too much."""
    async with asyncio.timeout(5):
        while len(bot.connector.shown(chat)) < count:
            await asyncio.sleep(0.002)
    await asyncio.sleep(0.02)
    return bot.connector.shown(chat)


async def test_the_welcome_shows_three_questions_of_the_settings() -> None:
    """They can be clicked in a personal chat."""
    async with running_bot(signed_settings(example_questions=EXAMPLES)) as bot:
        assert await bot.send(ADDED) == 200
        [hello] = await said(bot)
    assert "- How do I export?\n- What is a stall?\n- Why is it slow?\n" in hello["text"]
    assert "fourth" not in hello["text"]
    assert [button["value"] for button in hello["suggestedActions"]["actions"]] == [
        "How do I export?",
        "What is a stall?",
        "Why is it slow?",
    ]


async def test_the_welcome_is_filled_up_with_what_people_really_ask() -> None:
    """Without repeating what the settings say."""
    async with running_bot(signed_settings(example_questions="How do I export?")) as bot:
        bot.popular += ["How do I export?", "What is a stall?", "Why is it slow?"]
        await bot.send(ADDED)
        [hello] = await said(bot)
    assert "- How do I export?\n- What is a stall?\n- Why is it slow?\n" in hello["text"]


async def test_in_a_team_the_welcome_says_to_mention_the_bot() -> None:
    """There are no buttons: they would be everybody's."""
    async with running_bot(signed_settings(example_questions=EXAMPLES)) as bot:
        await bot.send(ADDED | {"conversation": channel()})
        [hello] = await said(bot, channel()["id"])
    assert "Mention me" in hello["text"]
    assert "suggestedActions" not in hello


async def test_without_any_question_the_welcome_is_still_a_welcome(bot: TeamsBot) -> None:
    """Also while the database cannot be asked."""
    bot.store.down = True
    await bot.send(ADDED)
    [hello] = await said(bot)
    assert "Ask me here in your own words." in hello["text"]


async def test_a_welcome_delivered_twice_is_said_once(bot: TeamsBot) -> None:
    """Teams repeats what it thinks was lost; a later installation is greeted again."""
    for _ in range(3):
        await bot.send(ADDED)
    assert len(await said(bot)) == 1
    await bot.send(ADDED | {"id": "c2"})
    assert len(await said(bot, count=2)) == 2


async def test_help_says_what_can_be_done(bot: TeamsBot) -> None:
    """In the thread where it was asked for; nothing is asked of the documentation."""
    await bot.send(channel_message("help", root="17"))
    [help_text] = await said(bot, channel("17")["id"])
    assert "**clear my ratings**" in help_text["text"]
    assert not bot.store.questions


async def test_clearing_takes_back_the_persons_ratings_and_says_how_many(bot: TeamsBot) -> None:
    """Nobody else's; a repeated delivery says it once."""
    bot.store.answers["r1"] = "q"
    await bot.send(reaction("r1", added=("like",)))
    await bot.send(reaction("r1", added=("no",), **{"from": {"id": "29:bob", "aadObjectId": "aad-bob"}}))
    for _ in range(2):
        assert await bot.send(message("Clear my ratings", id="m9")) == 200
    [done] = await said(bot)
    assert done["text"] == "Done: I have taken back your rating."
    assert [rating.person.id for rating in bot.store.ratings] == ["aad-bob"]
    await bot.send(message("clear my ratings", id="m10"))
    assert (await said(bot, count=2))[1]["text"] == "You have no ratings that could be taken back."


async def test_clearing_is_asked_for_again_if_it_cannot_be_done(bot: TeamsBot) -> None:
    """And nothing is claimed."""
    bot.store.down = True
    assert await bot.send(message("clear my ratings")) == 503
    await asyncio.sleep(0.02)
    assert bot.connector.shown(CHAT) == []


def foreign(payload: dict[str, Any]) -> dict[str, Any]:
    """The same from another organisation."""
    other = {"channelData": {"tenant": {"id": "tenant-9"}}}
    return payload | other | {"conversation": {**payload["conversation"], "tenantId": "tenant-9"}}


async def test_the_bots_own_organisation_needs_no_link(bot: TeamsBot) -> None:
    """It is PROMPTAI_TENANT; upper and lower case are the same organisation."""
    assert TENANT == "tenant-1"
    await bot.send(message("What is it?", channelData={"tenant": {"id": "TENANT-1"}}))
    [stored] = bot.store.questions.values()
    assert stored.tenant == "acme"


async def test_people_of_an_unknown_organisation_are_refused_politely(bot: TeamsBot) -> None:
    """With what their admin needs; once for each message; nothing is stored."""
    for _ in range(2):
        assert await bot.send(foreign(message("What is it?"))) == 200
    [refusal] = await said(bot)
    assert "has not been set up" in refusal["text"]
    assert "`tenant-9`" in refusal["text"]
    await bot.send(foreign(message("help", id="2")))
    assert len(await said(bot, count=2)) == 2
    assert not bot.store.questions


@pytest.mark.parametrize(
    "silent", [ADDED, reaction("r1", added=("like",)), feedback("r1", "like"), channel_message("x", entities=[])]
)
async def test_an_unknown_organisation_is_told_nothing_unasked(bot: TeamsBot, silent: dict[str, Any]) -> None:
    """And its gestures count nowhere."""
    bot.store.answers["r1"] = "q"
    assert await bot.send(foreign(silent)) == 200
    await asyncio.sleep(0.02)
    assert bot.connector.conversations == {}
    assert not bot.store.ratings


async def test_an_activity_that_names_no_organisation_is_refused(bot: TeamsBot) -> None:
    """It is not taken for anybody's."""
    bare = message("What is it?", channelData={}, conversation={"id": CHAT, "conversationType": "personal"})
    assert await bot.send(bare) == 200
    [refusal] = await said(bot)
    assert "tenant id" not in refusal["text"]
    assert not bot.store.questions


async def test_a_linked_organisation_is_its_tenant() -> None:
    """With a multi-tenant bot, the links are the list of who is answered; ratings go the same way."""
    settings = signed_settings(microsoft_app_type="MultiTenant")
    async with running_bot(settings) as bot:
        bot.tenancy.links["tenant-9", ""] = "globex"
        bot.store.answers["r1"] = "q"
        await bot.send(foreign(message("What is it?")))
        await bot.send(foreign(reaction("r1", added=("like",))))
        [stored] = bot.store.questions.values()
        assert (stored.tenant, stored.person.team) == ("globex", "tenant-9")
        assert [rating.tenant for rating in bot.store.ratings] == ["globex"]


async def test_a_link_of_a_conversation_comes_first(bot: TeamsBot) -> None:
    """A channel may be another customer's; the thread in it does not matter."""
    bot.tenancy.links[TENANT, "19:abc@thread.tacv2"] = "globex"
    await bot.send(channel_message("What is it?", root="17"))
    await bot.send(message("What is it?", id="2"))
    assert [stored.tenant for stored in bot.store.questions.values()] == ["globex", "acme"]


async def test_the_same_message_id_in_two_tenants_is_two_questions(bot: TeamsBot) -> None:
    """Ids are told apart by tenant."""
    bot.tenancy.links["tenant-9", ""] = "globex"
    await bot.send(message("What is it?"))
    await bot.send(foreign(message("What is it?")))
    assert len(bot.store.questions) == 2


async def test_in_unsigned_mode_everything_is_the_own_tenants() -> None:
    """The Playground's organisation is made up."""
    async with running_bot(unsigned_settings()) as bot:
        await bot.send(foreign(message("What is it?")))
        assert [stored.tenant for stored in bot.store.questions.values()] == ["acme"]


def test_examples_cannot_deceive() -> None:
    """They are people's words."""
    reference = '{"conversation": {"conversationType": "personal"}}'
    shown = texts.welcome(reference, ["[see](https://evil.example)\n# <at>all</at>", "x" * 100])
    assert "see (https://evil.example) # &lt;at&gt;all&lt;/at&gt;" in shown.text
    assert len(shown.suggested_actions.actions) == 1, "a long question is no button"
