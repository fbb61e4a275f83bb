"""What the HTTP endpoint does with requests of Teams, good and bad."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bot.errors import SettingsError
from bot.messages import Vote
from bot.teams import TeamsAdapter
from bot.teams.requests import MAX_BODY_BYTES
from tests.fakes.teams_activities import ADA, BOT, activity, channel_message, feedback, message, reaction
from tests.fakes.teams_bot import TeamsBot, running_bot, signed_settings
from tests.fakes.teams_store import MemoryReplies, MemoryTenancy, memory_conversation


async def test_a_question_is_stored_and_started_before_the_request_is_answered(bot: TeamsBot) -> None:
    """Not later: from then on nobody asks again."""
    bot.store.gate.clear()
    waiting = asyncio.create_task(bot.send(message("What is it?")))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    bot.store.gate.set()
    assert await waiting == 200
    [stored] = bot.store.questions.values()
    assert (stored.text, stored.tenant) == ("What is it?", "acme")
    assert bot.starter.started == [stored.id]


async def test_the_request_does_not_wait_for_the_answer(bot: TeamsBot) -> None:
    """Teams gives up after 15 seconds; the reply goes its own way, and nothing is sent from here."""
    assert await bot.send(message("What is it?")) == 200
    assert bot.connector.calls == []


async def test_a_redelivered_activity_is_one_question(bot: TeamsBot) -> None:
    """Teams repeats what it thinks was not received."""
    for _ in range(3):
        assert await bot.send(message("What is it?")) == 200
    assert len(bot.store.questions) == 1


async def test_when_the_question_cannot_be_stored_the_request_fails(bot: TeamsBot) -> None:
    """Then Teams delivers it again, and nothing is lost."""
    bot.store.down = True
    assert await bot.send(message("What is it?")) == 503
    assert await bot.send(reaction("r", added=("like",))) == 503
    assert await bot.send(feedback("r", "like")) == 503
    bot.store.down = False
    assert await bot.send(message("What is it?")) == 200
    assert len(bot.store.questions) == 1


async def test_the_service_url_of_the_reply_is_the_one_that_the_token_vouched_for(bot: TeamsBot) -> None:
    """It is kept with the question."""
    await bot.send(channel_message("What is it?"))
    [stored] = bot.store.questions.values()
    assert json.loads(stored.address["reference"])["serviceUrl"] == bot.service_url


@pytest.mark.parametrize("text", ["", "<at>promptai</at>", "x" * 40_000, "عربي 🙂", "```\n<b>\n```"])
async def test_odd_questions_are_accepted(bot: TeamsBot, text: str) -> None:
    """What to say to them is the pipeline's business."""
    assert await bot.send(message(text)) == 200
    assert len(bot.store.questions) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"no json", b"\xff\xfe", b"[]", b"7", b'"x"', b"null", b"[" * 100_000])
async def test_garbage_is_a_bad_request(bot: TeamsBot, body: bytes) -> None:
    """Even from Teams itself."""
    assert await bot.post(body, f"Bearer {bot.token()}") == 400


@pytest.mark.parametrize("body", [b"{", b"x" * 100])
async def test_garbage_without_a_token_is_unauthorized(bot: TeamsBot, body: bytes) -> None:
    """Strangers learn nothing about what would be right."""
    assert await bot.post(body) == 401


@pytest.mark.parametrize("missing", ["type", "conversation", "id", "from"])
async def test_an_incomplete_activity_is_a_bad_request(bot: TeamsBot, missing: str) -> None:
    """It could not be answered."""
    incomplete = message("What is it?")
    del incomplete[missing]
    assert await bot.send(incomplete) == 400
    assert not bot.store.questions


async def test_a_body_above_the_limit_is_refused(bot: TeamsBot) -> None:
    """Before it is read, where its length is known, and while it is read where not."""
    assert await bot.send(message("x" * (MAX_BODY_BYTES - 2_000))) == 200
    assert await bot.send(message("x" * MAX_BODY_BYTES, id="2")) == 413
    assert len(bot.store.questions) == 1

    async def drip() -> Any:
        for _ in range(MAX_BODY_BYTES // 1024 + 2):
            yield b"x" * 1024

    assert await bot.post(drip(), f"Bearer {bot.token()}") == 413  # type: ignore[arg-type]


async def test_ratings_reach_the_conversation(bot: TeamsBot) -> None:
    """Reactions given and taken back, and the buttons with their comment."""
    bot.store.answers["r1"] = "q"
    assert await bot.send(reaction("r1", added=("like-tone2",))) == 200
    assert await bot.send(reaction("r1", removed=("like-tone2",), added=("no",))) == 200
    assert await bot.send(feedback("r1", "dislike", '{"feedbackText": "Wrong"}')) == 200
    given = [(rating.vote, rating.gesture, rating.removed, rating.comment) for rating in bot.store.ratings]
    assert given == [
        (Vote.UP, "like-tone2", False, None),
        (Vote.UP, "like-tone2", True, None),
        (Vote.DOWN, "no", False, None),
        (Vote.DOWN, "feedback", False, "Wrong"),
    ]


async def test_feedback_is_answered_with_an_empty_object(bot: TeamsBot) -> None:
    """Teams shows an error to the person otherwise."""
    await bot.send(feedback("r1", "like"))
    await bot.send(feedback(None, "like"))
    assert bot.responses == ["{}", "{}"]


async def test_a_reaction_on_another_message_is_nothing(bot: TeamsBot) -> None:
    """People react to each other as well."""
    assert await bot.send(reaction("not-ours", added=("like",))) == 200
    assert bot.store.ratings == []


@pytest.mark.parametrize(
    "ignored",
    [
        message("What is it?", **{"from": BOT}),
        activity("messageUpdate", text="What is it?"),
        activity("messageDelete"),
        activity("typing"),
        channel_message("What is it?", entities=[]),
        reaction("r", added=("heart",)),
        activity("conversationUpdate", membersAdded=[ADA]),
    ],
)
async def test_what_needs_no_action_is_acknowledged(bot: TeamsBot, ignored: dict[str, Any]) -> None:
    """So that Teams does not repeat it; the log has the reason."""
    assert await bot.send(ignored) == 200
    assert not bot.store.questions


async def test_an_unknown_invoke_is_not_implemented(bot: TeamsBot) -> None:
    """501 lets Teams say so to the person."""
    assert await bot.send(activity("invoke", name="task/fetch", value={})) == 501


async def test_a_slow_database_is_reported_before_teams_gives_up() -> None:
    """After 15 seconds Teams would think that nobody is there; the question comes again."""
    async with running_bot(answer_within=0.05) as bot:
        bot.store.gate.clear()
        assert await bot.send(message("What is it?")) == 503
        bot.store.gate.set()
        assert await bot.send(message("What is it?")) == 200
        assert len(bot.store.questions) == 1


async def test_other_methods_are_not_allowed(bot: TeamsBot) -> None:
    """Nothing to see."""
    async with bot.session.get(bot.url + "/api/messages") as response:
        assert response.status == 405


async def test_no_secret_and_no_token_is_logged(bot: TeamsBot, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the person's token nor the bot's, nor what was asked."""
    token = bot.token()
    await bot.send(message("a private question"), token=token)
    await bot.send(message("a private question"), token=token[:-5])
    await bot.send(activity("conversationUpdate", membersAdded=[BOT]))
    await bot.adapter.close()
    logged = "".join(capsys.readouterr())
    assert "teams_unauthorized" in logged
    for secret in (token, token[:-5], "secret-password", "local-token", "private question"):
        assert secret not in logged


def test_a_bot_without_an_app_id_does_not_start() -> None:
    """Unless it is the unsigned mode; the message names the variable."""
    conversation, _, _ = memory_conversation()
    settings = signed_settings().model_copy(update={"microsoft_app_id": None})
    with pytest.raises(SettingsError, match="MICROSOFT_APP_ID"):
        TeamsAdapter(conversation, settings, MemoryTenancy(), MemoryReplies(), _nothing_popular)


async def _nothing_popular(tenant: str, limit: int) -> list[str]:
    return []
