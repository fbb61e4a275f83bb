"""Whole conversations in Microsoft's Agents Playground with `promptai serve`; only the model follows a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.fakes.model_server import ModelServerFake, Status, Stream
from tests.real.teams.npm import NpmMissing
from tests.real.teams.playground import (
    ADA,
    BOB,
    CHANNEL,
    GROUP,
    PERSONAL,
    Playground,
    install,
    running_playground,
)
from tests.real.teams.product import SHOWN, Model, Product, running_product

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

QUESTION = "How is the rebuffering ratio computed?"


@dataclass
class World:
    product: Product
    playground: Playground
    model: Model
    broken: bool = False
    """The model server answers 500."""

    def script(self, body: Any) -> Any:
        return (
            Status(500, {"error": "down", "error_type": "incomplete_generation"}) if self.broken else self.model(body)
        )

    async def answered(self, conversation: str, text: str = SHOWN, *, count: int = 1) -> dict[str, Any]:
        """Wait for the n-th message with that text; gives it."""

        def found() -> list[dict[str, Any]]:
            return [m for m in self.playground.shown(conversation).values() if text in m["text"]]

        await self.playground.until(lambda: len(found()) >= count)
        return found()[-1]

    async def voted(self, *expected: tuple[str, str, str | None]) -> None:
        """Wait until these are the current votes: (vote, way, comment)."""
        async with asyncio.timeout(60):
            while True:
                votes = await self.product.votes()
                if [(v["vote"], v["way"], v["comment"]) for v in votes] == list(expected):
                    return


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    try:
        await asyncio.to_thread(install)
    except NpmMissing as missing:
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("teams")
    built: list[World] = []
    async with (
        ModelServerFake(lambda body: built[0].script(body) if built else Stream("ready")) as server,
        running_product(folder, server.url) as product,
        running_playground(f"{product.url}/api/messages", folder) as playground,
    ):
        built.append(World(product, playground, Model()))
        yield built[0]
        assert "Traceback" not in product.log or built[0].broken, product.log


async def test_the_bot_says_hello_when_it_is_installed(world: World) -> None:
    """Once, in the personal chat."""
    await world.playground.install_bot(PERSONAL)
    await world.answered(PERSONAL, "Ask me here")
    assert len(world.playground.texts(PERSONAL)) == 1


async def test_a_direct_message_is_answered_with_citations(world: World) -> None:
    """Typing, a status, then the answer in the same message: labelled, cited, neutralised, with buttons."""
    await world.playground.say(PERSONAL, QUESTION)
    message = await world.answered(PERSONAL)
    assert message["text"] == SHOWN
    assert message["aiEntity"]["additionalType"] == ["AIGeneratedContent"]
    [citation] = message["aiEntity"]["citation"]
    assert citation["position"] == 1
    assert citation["appearance"]["name"] == "Buffering"
    assert "buffering.md" in citation["appearance"]["abstract"]
    events = [event for event in world.playground.events if event["actionConversationId"] == PERSONAL]
    mine = [event for event in events if event.get("message", {}).get("messageId") == message["messageId"]]
    assert mine[0]["action"] == "createMessage"
    assert mine[0]["message"]["feedbackLoopEnabled"] is True
    assert any(event["action"] == "typing" for event in events)


async def test_a_follow_up_knows_what_it_follows(world: World) -> None:
    """The earlier question is in the prompt that rewrites it."""
    await world.playground.say(PERSONAL, "And above which value does an alert open?")
    await world.answered(PERSONAL, count=2)
    assert QUESTION in world.model.rewritten[-1]


async def test_a_channel_mention_is_answered_in_its_thread(world: World) -> None:
    """And a reply there is a follow-up."""
    before = len(world.model.rewritten)
    thread = await world.playground.say(CHANNEL, "What window do alerts use?", to_bot=True)
    await world.answered(thread)
    assert len(world.model.rewritten) == before, "a new thread has no history"
    await world.playground.say(thread, "And during live events?", to_bot=True, sender=BOB["id"])
    await world.answered(thread, count=2)
    assert "What window do alerts use?" in world.model.rewritten[-1]


async def test_a_group_chat_is_answered_when_it_mentions_the_bot(world: World) -> None:
    """Without a mention people talk among themselves."""
    await world.playground.say(GROUP, "Lunch?")
    await world.playground.say(GROUP, QUESTION, to_bot=True)
    await world.answered(GROUP)
    assert len(world.playground.texts(GROUP)) == 1


async def test_reactions_and_buttons_become_the_persons_current_vote(world: World) -> None:
    """A thumb, taken back; the other thumb by button with words; somebody else's beside it."""
    reply = (await world.answered(PERSONAL))["messageId"]
    await world.playground.react(PERSONAL, reply, added="like")
    await world.voted(("up", "reaction", None))
    await world.playground.react(PERSONAL, reply, removed="like")
    await world.voted()
    await world.playground.click_feedback(PERSONAL, reply, "dislike", "Which unit?")
    await world.voted(("down", "button", "Which unit?"))
    await world.playground.react(PERSONAL, reply, added="heart")
    await world.playground.react(PERSONAL, "1", added="like")
    await world.playground.send_activity(
        PERSONAL, type="messageReaction", replyToId=reply, reactionsAdded=[{"type": "yes-tone2"}], **{"from": BOB}
    )
    await world.voted(("down", "button", "Which unit?"), ("up", "reaction", None))
    assert (await world.product.votes())[0]["person"] == ADA["aadObjectId"]


async def test_feedback_that_names_no_answer_changes_nothing(world: World) -> None:
    """So the Playground's page sends it: acknowledged, and nothing is guessed."""
    assert await world.playground.click_feedback_on_the_page(PERSONAL, "like", "plain words") == {}
    assert len(await world.product.votes()) == 2


async def test_a_reaction_in_a_channel_thread_is_a_vote(world: World) -> None:
    """The conversation id there carries the thread."""
    thread = await world.playground.say(CHANNEL, QUESTION, to_bot=True)
    reply = (await world.answered(thread))["messageId"]
    await world.playground.react(thread, reply, added="no")
    await world.voted(("down", "button", "Which unit?"), ("up", "reaction", None), ("down", "reaction", None))


async def test_asking_nothing_is_answered_with_help(world: World) -> None:
    """Only a mention."""
    thread = await world.playground.say(CHANNEL, "", to_bot=True)
    await world.answered(thread, "Ask me a question")


@pytest.mark.parametrize("text", ["x" * 40_000, "ما هي نسبة إعادة التخزين المؤقت؟ 🙂", "```\n<b>code</b>\n```"])
async def test_odd_questions_are_answered(world: World, text: str) -> None:
    """Each gets an honest reply; the very long one says that it was cut."""
    thread = await world.playground.say(CHANNEL, text, to_bot=True)
    message = await world.answered(thread, "The documentation does not say.")
    assert ("very long" in message["text"]) == (len(text) > 8_000)


async def test_edits_deletions_and_other_bots_are_left_alone(world: World) -> None:
    """Nobody is answered twice, and no bot at all."""
    before = len(world.playground.events)
    edited = {"id": "edited", "text": QUESTION}
    await world.playground.send_activity(PERSONAL, type="messageUpdate", **edited)
    await world.playground.send_activity(PERSONAL, type="messageDelete", **edited)
    await world.playground.send_activity(PERSONAL, type="message", text=QUESTION, **{"from": {"id": "28:other"}})
    thread = await world.playground.say(CHANNEL, QUESTION, to_bot=True)
    await world.answered(thread)
    assert not [e for e in world.playground.events[before:] if e["actionConversationId"] == PERSONAL]


async def test_a_redelivered_activity_is_answered_once(world: World) -> None:
    """Teams repeats what it thinks was lost."""
    before = len(world.playground.shown(PERSONAL))
    for _ in range(3):
        await world.playground.send_activity(PERSONAL, type="message", id="same", text=QUESTION, textFormat="plain")
    thread = await world.playground.say(CHANNEL, QUESTION, to_bot=True)
    await world.answered(thread)
    await world.playground.until(lambda: world.playground.texts(PERSONAL)[-1] == SHOWN)
    assert len(world.playground.shown(PERSONAL)) == before + 1


async def test_the_answer_survives_a_kill_in_the_middle(world: World) -> None:
    """`kill -9` while the answer is being written: after the restart the same message becomes the answer."""
    world.model.go_on.clear()
    thread = await world.playground.say(CHANNEL, QUESTION, to_bot=True)
    await world.answered(thread, "divided by watched time")
    await world.product.stop(kill=True)
    world.model.go_on.set()
    await world.product.start()
    await world.answered(thread)
    assert world.playground.texts(thread) == [SHOWN]


async def test_a_model_that_fails_is_apologised_for(world: World) -> None:
    """With the error id that is also in the log."""
    world.broken = True
    thread = await world.playground.say(CHANNEL, QUESTION, to_bot=True)
    message = await world.answered(thread, "Error id: `")
    assert message["text"].startswith("Sorry, ")
    assert "aiEntity" not in message
    error_id = message["text"].split("`")[1]
    assert error_id in world.product.log
