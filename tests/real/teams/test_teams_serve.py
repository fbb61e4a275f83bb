"""Whole conversations in Microsoft's Agents Playground with `promptai serve`; only the model follows a script.

Everything happens twice: plain (unsigned, as the Playground is) and through a proxy that signs with a local key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.fakes.model_server import ModelServerFake, Status, Stream
from tests.fakes.teams_connector import FakeIdentity
from tests.real.teams import signing
from tests.real.teams.npm import NpmMissing
from tests.real.teams.playground import ADA, BOB, CHANNEL, GROUP, PERSONAL, Playground, install, running_playground
from tests.real.teams.product import EXAMPLES, LONG, SHOWN, Model, Product, running_product

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

QUESTION = "How is the rebuffering ratio computed?"


@dataclass
class World:
    product: Product
    playground: Playground
    model: Model
    proxy: signing.SigningProxy | None
    broken: bool = False
    """The model server answers 500."""

    def script(self, body: Any) -> Any:
        return (
            Status(500, {"error": "down", "error_type": "incomplete_generation"}) if self.broken else self.model(body)
        )

    def found(self, conversation: str, text: str) -> list[dict[str, Any]]:
        return [m for m in self.playground.shown(conversation).values() if text in m["text"]]

    async def answered(self, conversation: str, text: str = SHOWN, *, count: int = 1) -> dict[str, Any]:
        """Wait for the n-th message with that text; gives it."""
        await self.playground.until(lambda: len(self.found(conversation, text)) >= count)
        return self.found(conversation, text)[-1]

    async def voted(self, *expected: tuple[str, str, str | None]) -> None:
        """Wait until these are the current votes: (vote, way, comment)."""
        async with asyncio.timeout(60):
            while True:
                votes = await self.product.votes()
                if [(v["vote"], v["way"], v["comment"]) for v in votes] == list(expected):
                    return
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["plain", "signed"])
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    try:
        await asyncio.to_thread(install)
    except NpmMissing as missing:
        pytest.skip(str(missing))
    folder = tmp_path_factory.mktemp("teams")
    built: list[World] = []
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            ModelServerFake(lambda body: built[0].script(body) if built else Stream("ready"))
        )
        proxy: signing.SigningProxy | None = None
        if request.param == "signed":
            identity = FakeIdentity()
            metadata_url = await stack.enter_async_context(identity.listening())
            proxy, endpoint = await stack.enter_async_context(signing.signing_proxy(identity))
            running = running_product(
                folder, server.url, module="tests.real.teams.signing", environment=signing.environment(metadata_url)
            )
            product = await stack.enter_async_context(running)
            proxy.target = f"{product.url}/api/messages"
        else:
            product = await stack.enter_async_context(running_product(folder, server.url))
            endpoint = f"{product.url}/api/messages"
        playground = await stack.enter_async_context(running_playground(endpoint, folder))
        built.append(World(product, playground, Model(), proxy))
        yield built[0]
        assert "Traceback" not in product.log or built[0].broken, product.log


async def test_the_bot_says_hello_when_it_is_installed(world: World) -> None:
    """Once, in the personal chat, with three questions that people really ask."""
    await world.playground.install_bot(PERSONAL)
    hello = await world.answered(PERSONAL, "Ask me here")
    assert all(f"- {example}" in hello["text"] for example in EXAMPLES.split("|"))
    assert len(world.playground.texts(PERSONAL)) == 1


async def test_a_direct_message_is_answered_in_a_stream(world: World) -> None:
    """What the bot does, then the text as it grows, then the answer: labelled, cited, neutralised, with buttons."""
    world.model.go_on.clear()
    await world.playground.say(PERSONAL, QUESTION)
    await world.answered(PERSONAL, "divided by watched time")
    world.model.go_on.set()
    message = await world.answered(PERSONAL)
    parts = world.playground.streamed(PERSONAL, message["messageId"])
    kinds = [kind for kind, _ in parts]
    assert kinds == sorted(kinds, key=["informative", "streaming", "final"].index), "lines, text, end"
    assert set(kinds) == {"informative", "streaming", "final"}
    texts = [text for kind, text in parts if kind != "informative"]
    assert all(later.startswith(before) for before, later in pairwise(texts))
    assert message["text"] == SHOWN
    assert message["feedbackLoopEnabled"] is True
    assert message["aiEntity"]["additionalType"] == ["AIGeneratedContent"]
    [citation] = message["aiEntity"]["citation"]
    assert citation["position"] == 1
    assert citation["appearance"]["name"] == "Buffering"
    assert "buffering.md" in citation["appearance"]["abstract"]


async def test_feedback_that_names_no_answer_means_the_only_one(world: World) -> None:
    """So the Playground's page sends it; there is one answer in this chat so far."""
    assert await world.playground.click_feedback_on_the_page(PERSONAL, "dislike", "plain words") == {}
    await world.voted(("down", "button", "plain words"))


async def test_clear_my_ratings_takes_them_back(world: World) -> None:
    """And says so."""
    await world.playground.say(PERSONAL, "Clear my ratings!")
    await world.answered(PERSONAL, "taken back your rating")
    await world.voted()


async def test_a_follow_up_knows_what_it_follows(world: World) -> None:
    """The earlier question is in the prompt that rewrites it; commands and greetings are not."""
    await world.playground.say(PERSONAL, "And above which value does an alert open?")
    await world.answered(PERSONAL, count=2)
    assert QUESTION in world.model.rewritten[-1]
    assert "ratings" not in world.model.rewritten[-1]


async def test_of_two_answers_none_is_guessed(world: World) -> None:
    """Feedback without a message is acknowledged, and counts nowhere."""
    assert await world.playground.click_feedback_on_the_page(PERSONAL, "like", "plain words") == {}
    assert await world.product.votes() == []


async def test_a_channel_mention_is_answered_in_its_thread(world: World) -> None:
    """And a reply there is a follow-up. The bot is seen typing, and posts one message."""
    before = len(world.model.rewritten)
    thread = await world.playground.say(CHANNEL, "What window do alerts use?", to_bot=True)
    await world.answered(thread)
    assert len(world.model.rewritten) == before, "a new thread has no history"
    mine = [e for e in world.playground.events if e["actionConversationId"] == thread and "message" in e]
    assert [e["action"] for e in mine if e["message"]["from"]["id"] == "28:promptai"] == ["createMessage"]
    await world.playground.say(thread, "And during live events?", to_bot=True, sender=BOB["id"])
    await world.answered(thread, count=2)
    assert "What window do alerts use?" in world.model.rewritten[-1]


async def test_a_group_chat_is_answered_when_it_mentions_the_bot(world: World) -> None:
    """Without a mention people talk among themselves."""
    await world.playground.say(GROUP, "Lunch?")
    await world.playground.say(GROUP, QUESTION, to_bot=True)
    await world.answered(GROUP)
    assert len(world.playground.texts(GROUP)) == 1
    assert any(e["action"] == "typing" and e["actionConversationId"] == GROUP for e in world.playground.events)


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
    assert [vote["person"] for vote in await world.product.exported()] == [ADA["aadObjectId"], BOB["aadObjectId"]]


async def test_a_reaction_in_a_channel_thread_is_a_vote(world: World) -> None:
    """The conversation id there carries the thread."""
    thread = await world.playground.say(CHANNEL, QUESTION, to_bot=True)
    reply = (await world.answered(thread))["messageId"]
    await world.playground.react(thread, reply, added="no")
    await world.voted(("down", "button", "Which unit?"), ("up", "reaction", None), ("down", "reaction", None))


async def test_a_long_answer_is_several_messages_and_each_can_be_rated(world: World) -> None:
    """Nothing of it is lost; the first ends the stream; thumbs on the last and the first are one vote."""
    whole = "".join(world.model.long_answer).strip()
    await world.playground.say(PERSONAL, LONG)

    def complete() -> list[dict[str, Any]]:
        parts = [m for m in world.playground.shown(PERSONAL).values() if " [1]\n- " in m["text"]]
        ended = [m for m in parts if m.get("feedbackLoopEnabled")]
        return ended if "\n".join(m["text"] for m in ended) == whole else []

    first, *others = await world.playground.until(complete)
    assert others
    assert first["streamEntity"]["streamType"] == "final"
    before = len(await world.product.votes())
    await world.playground.react(PERSONAL, others[-1]["messageId"], added="like")
    await world.playground.click_feedback(PERSONAL, first["messageId"], "dislike", "Too long")
    async with asyncio.timeout(60):
        while "Too long" not in [vote["comment"] for vote in await world.product.votes()]:
            await asyncio.sleep(0.05)
    votes = await world.product.votes()
    assert len(votes) == before + 1


async def test_asking_nothing_and_asking_for_help_are_answered_with_help(world: World) -> None:
    """Only a mention, or the word."""
    thread = await world.playground.say(CHANNEL, "", to_bot=True)
    await world.answered(thread, "Ask me a question")
    await world.playground.say(thread, "help", to_bot=True)
    await world.answered(thread, "**clear my ratings**")


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


@pytest.mark.parametrize("kind", ["stream", "thread"])
async def test_the_answer_survives_a_kill_in_the_middle(world: World, kind: str) -> None:
    """`kill -9` while the answer is being written: after the restart there is exactly one answer."""
    before = len(world.playground.shown(PERSONAL))
    answers = world.model.answers
    world.model.go_on.clear()
    if kind == "stream":
        chat = await world.playground.say(PERSONAL, QUESTION)
        await world.playground.until(lambda: world.playground.texts(PERSONAL)[-1].endswith("watched time"))
    else:
        chat = await world.playground.say(CHANNEL, QUESTION, to_bot=True)
        async with asyncio.timeout(60):
            while world.model.answers == answers:
                await asyncio.sleep(0.02)
    await world.product.stop(kill=True)
    world.model.go_on.set()
    await world.product.start()
    if kind == "stream":
        await world.playground.until(lambda: world.playground.texts(PERSONAL)[-1] == SHOWN)
        assert len(world.playground.shown(PERSONAL)) == before + 1, "the same message became the answer"
    else:
        await world.answered(chat)
        assert world.playground.texts(chat) == [SHOWN]


async def test_without_the_right_signature_nobody_is_heard(world: World) -> None:
    """The proxy has signed everything so far; what comes from elsewhere is refused."""
    if world.proxy is None:
        pytest.skip("nothing is signed here")
    assert world.proxy.signed > 20
    activity = {"type": "message", "id": "1", "serviceUrl": "http://127.0.0.1:1/", "channelId": "msteams"}
    stranger = FakeIdentity("key-9").token("http://127.0.0.1:1/", kid="key-9")
    async with aiohttp.ClientSession() as session:
        for headers in ({}, {"Authorization": f"Bearer {stranger}"}):
            async with session.post(f"{world.product.url}/api/messages", json=activity, headers=headers) as response:
                assert response.status == 401


async def test_a_model_that_fails_is_apologised_for(world: World) -> None:
    """With the error id that is also in the log, at the end of the stream and in a channel."""
    world.broken = True
    thread = await world.playground.say(CHANNEL, QUESTION, to_bot=True)
    await world.playground.say(PERSONAL, QUESTION)
    for chat in (thread, PERSONAL):
        message = await world.answered(chat, "Error id: `")
        assert message["text"].startswith("Sorry, ")
        assert "aiEntity" not in message
        error_id = message["text"].split("`")[1]
        assert error_id in world.product.log
