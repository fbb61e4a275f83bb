"""Conversations in a third party's workspace with the whole product, by HTTP events and by Socket Mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from bot.slack.channel_views import AS_CONFIGURED, CHANGE
from tests.real.slack.local_slack import ALICE, BOB, BOT, CHANNEL, LocalSlackMissing
from tests.real.slack.product import Product, running_product

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

DONE = "one while live [1]."


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["events", "socket"])
async def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Product]:
    try:
        async with running_product(
            request.param, tmp_path_factory.mktemp(request.param), SLACK_ADMINS=ALICE
        ) as running:
            yield running
    except LocalSlackMissing as missing:
        pytest.skip(str(missing))


def finished(replies: list[dict[str, Any]]) -> bool:
    return any(DONE in reply["text"] for reply in replies)


async def asked_and_answered(product: Product, text: str, **where: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ask; returns the question's message and the one reply to it."""
    question = await product.slack.say(text, **where)
    (reply,) = await product.slack.until(question, finished)
    return question, reply


async def test_a_mention_is_answered_once_in_its_thread_with_sources_and_thumbs(product: Product) -> None:
    _, reply = await asked_and_answered(product, f"<@{BOT}> which *window* do &lt;alerts&gt; use?")
    assert reply["text"].startswith(
        "You asked: which _window_ do &lt;alerts&gt; use? &lt;!channel&gt; *Five minutes* [1]"
    )
    assert "alerts.md" in reply["text"]
    assert [block["type"] for block in reply["blocks"]] == ["rich_text", "context", "context_actions"]


async def test_a_direct_message_is_answered_in_a_thread_below_it(product: Product) -> None:
    question, reply = await asked_and_answered(product, "How long are sessions kept?", channel=ALICE)
    assert question["channel"].startswith("D")
    assert reply["thread_ts"] == question["ts"]


async def test_a_follow_up_in_the_thread_knows_what_was_said_before(product: Product) -> None:
    first, _ = await asked_and_answered(product, f"<@{BOT}> what does the window shrink to?")
    follow_up = await product.slack.say(f"<@{BOT}> and before the event?", thread=first["ts"])
    replies = await product.slack.until(follow_up, lambda found: sum(DONE in r["text"] for r in found) == 2)
    assert len(replies) == 2
    rewriting = next(p for p in product.model.prompts if "Last question: and before the event?" in p)
    assert "Question: what does the window shrink to?" in rewriting
    assert "and before the event? (about live events)" in replies[-1]["text"]


async def test_people_who_talk_to_each_other_are_left_alone(product: Product) -> None:
    said = [
        await product.slack.say("Which window do alerts use?"),
        await product.slack.say(f"<@{BOB}> do you know?"),
        await product.slack.say("No idea.", user=BOB),
    ]
    await asked_and_answered(product, f"<@{BOT}> is anybody there?")
    assert [await product.slack.replies(message) for message in said] == [[], [], []]


async def test_the_asker_goes_on_without_a_mention_and_others_are_left_alone(product: Product) -> None:
    first, _ = await asked_and_answered(product, f"<@{BOT}> does this thread go on?")
    follow_up = await product.slack.say("and on Android?", thread=first["ts"])
    await product.slack.until(follow_up, lambda found: sum(DONE in r["text"] for r in found) == 2)
    await product.slack.say("I think so.", user=BOB, thread=first["ts"])
    await product.slack.say("Are you sure?", thread=first["ts"])
    await asked_and_answered(product, f"<@{BOT}> is anybody still there?")
    assert len(await product.slack.replies(first)) == 2


async def test_a_rating_is_acknowledged_to_its_person_alone(product: Product) -> None:
    _, reply = await asked_and_answered(product, f"<@{BOT}> is this acknowledged?")
    await product.slack.react(reply, "-1", user=BOB)
    async with asyncio.timeout(30):
        while not (told := [w for w in await product.slack.whispers() if w.get("ephemeral_to") == BOB]):
            await asyncio.sleep(0.1)
    assert "did not help" in told[-1]["text"]
    undo = next(b for b in told[-1]["blocks"][1]["elements"] if b["action_id"] == "promptai_undo")
    await rated(product, "is this acknowledged?", {BOB: ("down", "reaction")})
    await product.slack.click(
        told[-1], {"type": "button", "action_id": undo["action_id"], "value": undo["value"]}, user=BOB
    )
    await rated(product, "is this acknowledged?", {})


async def test_a_message_without_words_gets_help(product: Product) -> None:
    question = await product.slack.say(f"<@{BOT}>")
    (reply,) = await product.slack.until(question, lambda found: found and "Ask me a question" in found[0]["text"])
    assert [block["type"] for block in reply["blocks"]] == ["rich_text"]


async def test_an_edit_that_adds_the_mention_is_answered_once(product: Product) -> None:
    message = await product.slack.say("what is the retention?")
    await product.slack.edit(message, f"<@{BOT}> what is the retention?")
    await product.slack.until(message, finished)
    await product.slack.edit(message, f"<@{BOT}> what is the retention, please?")
    await asked_and_answered(product, f"<@{BOT}> something else?")
    assert len(await product.slack.replies(message)) == 1


async def rated(product: Product, containing: str, wanted: dict[str, tuple[str, str]]) -> None:
    async with asyncio.timeout(30):
        while await product.ratings(containing) != wanted:
            await asyncio.sleep(0.1)


async def test_reactions_given_changed_and_taken_back_become_one_current_vote_a_person(product: Product) -> None:
    _, reply = await asked_and_answered(product, f"<@{BOT}> is this rated-by-reaction?")
    await product.slack.react(reply, "tada")
    await product.slack.react(reply, "+1")
    await product.slack.react(reply, "thumbsdown::skin-tone-3", user=BOB)
    await rated(product, "rated-by-reaction", {ALICE: ("up", "reaction"), BOB: ("down", "reaction")})
    await product.slack.react(reply, "-1")
    await product.slack.react(reply, "+1", present=False)
    await product.slack.react(reply, "thumbsdown::skin-tone-3", user=BOB, present=False)
    await rated(product, "rated-by-reaction", {ALICE: ("down", "reaction")})
    await product.slack.react(reply, "-1", present=False)
    await rated(product, "rated-by-reaction", {})


async def test_the_thumbs_under_an_answer_rate_it(product: Product) -> None:
    _, reply = await asked_and_answered(product, f"<@{BOT}> is this rated-by-button?")
    for vote in ("up", "down"):
        await product.slack.thumb(reply, vote)
        await rated(product, "rated-by-button", {ALICE: (vote, "button")})


async def test_a_reaction_on_a_message_that_is_no_answer_rates_nothing(product: Product) -> None:
    question, _ = await asked_and_answered(product, f"<@{BOT}> is this rated-at-all?")
    await product.slack.react(question, "+1")
    assert await product.ratings("rated-at-all") == {}


async def test_a_redelivered_event_is_acknowledged_and_answered_once(product: Product) -> None:
    if not product.recorder.requests:
        pytest.skip("Socket Mode: local-slack sends nothing twice; tests/bot/slack/test_socket.py does.")
    product.recorder.requests.clear()
    question, _ = await asked_and_answered(product, f"<@{BOT}> is this redelivered?")
    for attempt in (1, 2, 3):
        for index in range(len(product.recorder.requests)):
            assert await product.recorder.send_again(index, attempt) == 200
    await asked_and_answered(product, f"<@{BOT}> anything else?")
    assert len(await product.slack.replies(question)) == 1


async def test_a_bot_that_is_killed_in_mid_answer_finishes_it_in_the_same_message(product: Product) -> None:
    product.model.go_on.clear()
    question = await product.slack.say(f"<@{BOT}> will this survive?")
    (begun,) = await product.slack.until(question, lambda found: found and "You asked" in found[0]["text"])
    await product.kill()
    product.model.go_on.set()
    await product.start()
    (reply,) = await product.slack.until(question, finished)
    assert reply["ts"] == begun["ts"]


async def until(product: Product, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Wait until the workspace is as wanted; returns it."""
    async with asyncio.timeout(60):
        while not condition(state := await product.slack.state()):
            await asyncio.sleep(0.1)
        return state


async def set_threads(product: Product, mode: str, *, user: str = ALICE) -> None:
    """Click "Change" in the home tab and send the dialog."""
    await product.slack.click_home({"type": "button", "action_id": CHANGE, "value": CHANNEL}, user=user)
    await until(product, lambda state: state["modalStack"])
    values = {
        "channel": {"channel": {"type": "conversations_select", "selected_conversation": CHANNEL}},
        "mode": {"mode": {"type": "static_select", "selected_option": {"value": mode}}},
    }
    await product.slack.submit(values, user=user)


async def test_the_home_tab_says_what_is_known_and_admins_change_a_channel_there(product: Product) -> None:
    for user in (BOB, ALICE):
        await product.slack.open_home(user)
    state = await until(product, lambda state: "settings" in str(state["homeViews"]).lower())
    await until(product, lambda state: str(state["homeViews"]).count("What I know") == 2)
    assert str(state["homeViews"]).count(CHANGE) == 1
    first, _ = await asked_and_answered(product, f"<@{BOT}> who may go on here?")
    await set_threads(product, "always")
    await until(product, lambda state: f"<#{CHANNEL}>: always" in str(state["homeViews"]))
    more = await product.slack.say("and what about me?", user=BOB, thread=first["ts"])
    await product.slack.until(more, lambda found: sum(DONE in r["text"] for r in found) == 2)
    await set_threads(product, AS_CONFIGURED)
    await until(product, lambda state: f"<#{CHANNEL}>: always" not in str(state["homeViews"]))


async def test_who_is_no_admin_is_refused_in_the_dialog(product: Product) -> None:
    await product.slack.click_home({"type": "button", "action_id": CHANGE, "value": CHANNEL}, user=BOB)
    state = await until(product, lambda state: state["modalStack"])
    assert "SLACK_ADMINS" in str(state["modalStack"])


async def test_what_was_asked_is_all_there_is(product: Product) -> None:
    """Last: no message of the bot stands outside a thread, none is left unfinished, none is answered twice."""
    messages = [m for m in await product.slack.messages(CHANNEL) if m["user"] == BOT]
    assert messages
    assert all("thread_ts" in message for message in messages)
    assert all(DONE in message["text"] or "Ask me a question" in message["text"] for message in messages)
