"""One suite over two workspaces: our own fake, and a third party's (local-slack; `make test-real`).

It covers what both offer and the bot uses, so that a test on the fake says something about a workspace that nobody here
wrote. Where they differ, Slack's documentation decides, and the fake follows it:

| | fake | local-slack | Slack |
| --- | --- | --- | --- |
| tokens | `not_authed`, `invalid_auth`, `not_allowed_token_type` | takes any, and none | as the fake |
| empty, long or malformed content | `no_text`, `msg_too_long`, `invalid_blocks`, `msg_blocks_too_long` | takes it | as the fake |
| `chat.update` in an unknown channel | `channel_not_found` | `message_not_found` | as the fake |
| `chat.update` of somebody else's message | `cant_update_message` | changes it | as the fake |
| `chat.postEphemeral` in an unknown channel, to nobody | `channel_not_found`, an error | takes it | as the fake |
| a whisper in `conversations.replies` | never | among the messages | as the fake |
| `conversations.replies` of an unknown thread or channel | `thread_not_found`, `channel_not_found` | no messages | as the fake |
| its `limit`, `oldest`, `include_all_metadata` | followed | not followed: all messages, never metadata | as the fake |
| `chat.*Stream`, `assistant.*`, `usergroups.*` | there | `unknown_method` | as the fake |
| `message` in answers | without `channel` | with | as the fake |
| `users.info`, `conversations.open`, `reactions.add`, `chat.delete` | not there: the bot does not use them | there | there |
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from bot.messages import Question, Rating, Vote
from bot.slack.api import SlackApi, SlackRefused, make_client
from bot.slack.incoming import BotIdentity, Ignored, Overheard, button_value, read_button, read_event
from tests.fakes import slack_api as fake
from tests.fakes.slack_people import FakePeople
from tests.real.slack import local_slack

pytestmark = pytest.mark.asyncio(loop_scope="module")

Json = dict[str, Any]
PATIENCE = 30.0
"""Seconds to wait for an event; only one that never comes takes so long."""
NOWHERE, NEVER = "C0NOWHERE", "1600000000.000100"


@dataclass
class Workspace:
    """A workspace as the suite sees it: the bot's calls, and what people do."""

    api: SlackApi
    app: SlackApi
    """The same with the app-level token."""
    people: Any
    """`say`, `edit`, `delete`, `react`, `click`."""
    channel: str
    direct: str
    """What people name to write to the bot directly."""
    user: str
    me: BotIdentity
    session: aiohttp.ClientSession

    async def call(self, method: str, **arguments: Any) -> Json:
        """As the bot calls it: JSON, or a query for what only reads."""
        reads = method.startswith(("conversations.", "chat.getPermalink", "files.", "usergroups."))
        return dict(await self.api.call(method, arguments, verb="GET" if reads else "POST"))

    async def refusal(self, method: str, **arguments: Any) -> str:
        """The code under which a call is refused."""
        with pytest.raises(SlackRefused) as refused:
            await self.call(method, **arguments)
        return refused.value.code

    async def post(self, text: str = "Hello", **more: Any) -> Json:
        return await self.call("chat.postMessage", channel=self.channel, text=text, **more)

    async def thread(self, ts: str) -> list[Json]:
        found: list[Json] = (await self.call("conversations.replies", channel=self.channel, ts=ts))["messages"]
        return found

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        """The bot's socket."""
        address = (await self.app.call("apps.connections.open", {}))["url"]
        async with self.session.ws_connect(address) as socket:
            assert (await socket.receive_json(timeout=PATIENCE))["type"] == "hello"
            yield Listener(socket)


@dataclass
class Listener:
    """Reads envelopes and acknowledges each, as a bot does."""

    socket: aiohttp.ClientWebSocketResponse

    async def next(self, wanted: Callable[[Json], bool]) -> Json:
        """The payload of the next envelope that is `wanted`; earlier ones are passed over."""
        async with asyncio.timeout(PATIENCE):
            while True:
                envelope = json.loads((await self.socket.receive()).data)
                await self.socket.send_json({"envelope_id": envelope["envelope_id"]})
                payload: Json = envelope["payload"]
                if wanted(payload):
                    return payload

    async def event(self, kind: str, **fields: Any) -> Json:
        """The body of the next event of a type."""
        return await self.next(
            lambda body: (
                body.get("event", {}).get("type") == kind
                and all(body["event"].get(key) == value for key, value in fields.items())
            )
        )


@asynccontextmanager
async def fake_workspace() -> AsyncIterator[Workspace]:
    async with fake.FakeSlack() as slack, aiohttp.ClientSession() as session:
        apis = _api(slack.url, fake.BOT_TOKEN, session), _api(slack.url, fake.APP_TOKEN, session)
        place = (fake.CHANNEL, fake.DIRECT, "U0ALICE")
        yield Workspace(*apis, FakePeople(slack), *place, await _me(apis[0]), session)


@asynccontextmanager
async def third_partys_workspace(folder: Path) -> AsyncIterator[Workspace]:
    port = local_slack.free_port()
    try:
        await asyncio.to_thread(local_slack.install)
    except local_slack.LocalSlackMissing as missing:
        pytest.skip(str(missing))
    started = local_slack.running_local_slack("socket", "http://127.0.0.1:9/unused", folder, port)
    async with started as people, aiohttp.ClientSession() as session:
        apis = (
            _api(people.api_url, local_slack.BOT_TOKEN, session),
            _api(people.api_url, local_slack.APP_TOKEN, session),
        )
        place = (local_slack.CHANNEL, local_slack.ALICE, local_slack.ALICE)
        yield Workspace(*apis, people, *place, await _me(apis[0]), session)


def _api(url: str, token: str, session: aiohttp.ClientSession) -> SlackApi:
    client = make_client(url, token)
    client.session = session
    return SlackApi(client)


async def _me(api: SlackApi) -> BotIdentity:
    who = await api.call("auth.test", {})
    return BotIdentity(who["user_id"], who["bot_id"], who["team_id"])


@pytest_asyncio.fixture(
    params=["fake", pytest.param("local-slack", marks=pytest.mark.real)], scope="module", loop_scope="module"
)
async def slack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workspace]:
    start = (
        fake_workspace if request.param == "fake" else partial(third_partys_workspace, tmp_path_factory.mktemp("slack"))
    )
    async with start() as workspace:
        yield workspace


async def test_the_bot_learns_who_it_is(slack: Workspace) -> None:
    """Its own user is mentioned, its own bot id marks its messages, its team tells whose they are."""
    who = await slack.call("auth.test")
    assert who["ok"] is True
    assert who["user_id"].startswith("U")
    assert who["bot_id"].startswith("B")
    assert who["team_id"].startswith("T")
    assert who["user"] == "promptai"
    assert who["url"].startswith("http")
    assert who["is_enterprise_install"] is False


async def test_a_message_is_posted_as_the_bots_and_can_be_told_from_peoples(slack: Workspace) -> None:
    """With channel and ts in the answer, which `chat.update` and ratings name."""
    posted = await slack.post("Hello")
    assert posted["channel"] == slack.channel
    assert posted["message"]["ts"] == posted["ts"]
    assert posted["message"]["text"] == "Hello"
    assert (posted["message"]["user"], posted["message"]["bot_id"]) == (slack.me.user_id, slack.me.bot_id)


async def test_later_messages_have_later_timestamps_of_one_form(slack: Workspace) -> None:
    """Seconds with six digits behind the point, in order also as text."""
    stamps = [(await slack.post(str(at)))["ts"] for at in range(4)]
    assert stamps == sorted(set(stamps))
    assert all(len(ts.split(".")[1]) == 6 and ts.replace(".", "").isdigit() for ts in stamps)


async def test_a_thread_begins_with_its_root_and_goes_on_in_order(slack: Workspace) -> None:
    """Which is how a reply is found again after a crash."""
    root = (await slack.post("root"))["ts"]
    replies = [(await slack.post(f"reply {at}", thread_ts=root))["ts"] for at in range(3)]
    await slack.post("elsewhere")
    found = await slack.thread(root)
    assert [message["ts"] for message in found] == [root, *replies]
    assert {message.get("thread_ts", root) for message in found} == {root}
    assert (await slack.call("conversations.replies", channel=slack.channel, ts=root))["has_more"] is False


async def test_a_persons_message_and_the_bots_stand_in_one_thread(slack: Workspace) -> None:
    """A question and its reply."""
    asked = await slack.people.say("What is it?", channel=slack.channel, user=slack.user)
    reply = await slack.post("It is ten.", thread_ts=asked["ts"])
    assert [m["user"] for m in await slack.thread(asked["ts"])] == [slack.user, slack.me.user_id]
    assert reply["message"]["thread_ts"] == asked["ts"]


async def test_a_message_is_changed_in_its_place(slack: Workspace) -> None:
    """Same ts, new text and blocks; the others stand."""
    root = (await slack.post("root"))["ts"]
    ts = (await slack.post("half", thread_ts=root))["ts"]
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "whole"}}
    changed = await slack.call("chat.update", channel=slack.channel, ts=ts, text="whole", blocks=[block])
    assert (changed["channel"], changed["ts"], changed["text"]) == (slack.channel, ts, "whole")
    found = await slack.thread(root)
    assert [(message["ts"], message["text"]) for message in found] == [(root, "root"), (ts, "whole")]
    assert found[1]["blocks"][0]["text"]["text"] == "whole"


async def test_what_is_not_there_is_refused_by_name(slack: Workspace) -> None:
    """The codes that decide whether another try makes sense."""
    assert await slack.refusal("chat.postMessage", channel=NOWHERE, text="x") == "channel_not_found"
    assert await slack.refusal("conversations.info", channel=NOWHERE) == "channel_not_found"
    assert await slack.refusal("chat.getPermalink", channel=NOWHERE, message_ts=NEVER) == "channel_not_found"
    assert await slack.refusal("chat.getPermalink", channel=slack.channel, message_ts=NEVER) == "message_not_found"
    assert await slack.refusal("chat.update", channel=slack.channel, ts=NEVER, text="x") == "message_not_found"
    assert await slack.refusal("files.info", file="F0NONE") == "file_not_found"
    view = {"type": "modal", "title": {"type": "plain_text", "text": "Why?"}, "blocks": [{"type": "divider"}]}
    assert await slack.refusal("views.open", trigger_id="nobody's", view=view) == "invalid_trigger_id"
    assert await slack.refusal("no.such.method") == "unknown_method"


async def test_a_deleted_message_cannot_be_changed(slack: Workspace) -> None:
    """Somebody removed what the bot is about to answer under, or the thread's root."""
    asked = await slack.people.say("What is it?", channel=slack.channel, user=slack.user)
    await slack.people.delete(asked)
    assert await slack.refusal("chat.update", channel=slack.channel, ts=asked["ts"], text="x") == "message_not_found"


async def test_a_link_to_a_message_leads_to_its_channel_and_time(slack: Workspace) -> None:
    """As it is given to people who are asked to help."""
    ts = (await slack.post())["ts"]
    answer = await slack.call("chat.getPermalink", channel=slack.channel, message_ts=ts)
    assert answer["channel"] == slack.channel
    assert answer["permalink"].endswith(f"/archives/{slack.channel}/p{ts.replace('.', '')}")


async def test_a_whisper_is_taken_and_has_a_timestamp(slack: Workspace) -> None:
    """One person sees it, in the thread."""
    root = (await slack.post("root"))["ts"]
    place = {"channel": slack.channel, "user": slack.user, "thread_ts": root}
    assert (await slack.call("chat.postEphemeral", text="psst", **place))["message_ts"]


async def test_a_channel_tells_about_itself_and_a_home_is_published(slack: Workspace) -> None:
    """What the adapter asks for before it trusts a channel, and what people see of the bot."""
    assert (await slack.call("conversations.info", channel=slack.channel))["channel"]["id"] == slack.channel
    view = {"type": "home", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "Home"}}]}
    published = (await slack.call("views.publish", user_id=slack.user, view=view))["view"]
    assert (published["type"], published["blocks"][0]["text"]["text"]) == ("home", "Home")
    assert published["id"].startswith("V")


async def test_a_mention_arrives_as_a_mention_and_as_a_message_that_ask_the_same(slack: Workspace) -> None:
    """Two events, one question: the routes read the same id, text, thread, person and workspace out of both."""
    async with slack.listening() as bot:
        said = await slack.people.say(f"<@{slack.me.user_id}> what is it?", channel=slack.channel, user=slack.user)
        bodies = [await bot.event("message", ts=said["ts"]), await bot.event("app_mention", ts=said["ts"])]
    asked = [read_event(body, me=slack.me, tenant="acme") for body in bodies]
    assert asked[0] == asked[1]
    question = asked[0]
    assert isinstance(question, Question)
    assert (question.text, question.message_id, question.thread) == ("what is it?", said["ts"], said["ts"])
    assert (question.conversation, question.person.id) == (slack.channel, slack.user)
    for body in bodies:
        assert body["type"] == "event_callback"
        assert body["team_id"] == slack.me.team_id
        assert body["event_id"].startswith("Ev")
        assert body["authorizations"][0]["user_id"] == slack.me.user_id
        assert body["event"]["event_ts"] == said["ts"]


async def test_a_direct_message_is_a_question_without_a_mention(slack: Workspace) -> None:
    """Known by its channel's type; its channel begins with D."""
    async with slack.listening() as bot:
        said = await slack.people.say("and directly?", channel=slack.direct, user=slack.user)
        body = await bot.event("message", ts=said["ts"])
    assert body["event"]["channel_type"] == "im"
    question = read_event(body, me=slack.me, tenant="acme")
    assert isinstance(question, Question)
    assert question.conversation.startswith("D")
    assert question.text == "and directly?"


async def test_a_message_in_a_thread_is_overheard_and_one_beside_it_is_nobodys(slack: Workspace) -> None:
    """A follow-up needs no mention; talk in the channel is none of the bot's business."""
    async with slack.listening() as bot:
        root = await slack.people.say("just talk", channel=slack.channel, user=slack.user)
        beside = read_event(await bot.event("message", ts=root["ts"]), me=slack.me, tenant="acme")
        said = await slack.people.say("and then?", channel=slack.channel, user=slack.user, thread=root["ts"])
        within = read_event(await bot.event("message", ts=said["ts"]), me=slack.me, tenant="acme")
    assert isinstance(beside, Ignored)
    assert isinstance(within, Overheard)
    assert within.question.thread == root["ts"]
    assert not within.to_others


async def test_a_reaction_is_a_vote_and_taking_it_back_withdraws_it(slack: Workspace) -> None:
    """With the message that it is on, who gave it, and when, in order."""
    reply = await slack.post("It is ten.")
    message = {"channel": slack.channel, "ts": reply["ts"], "user": slack.me.user_id}
    async with slack.listening() as bot:
        await slack.people.react(message, "+1", user=slack.user)
        given = read_event(await bot.event("reaction_added"), me=slack.me, tenant="acme")
        await slack.people.react(message, "+1", user=slack.user, present=False)
        taken = read_event(await bot.event("reaction_removed"), me=slack.me, tenant="acme")
    assert isinstance(given, Rating)
    assert isinstance(taken, Rating)
    assert (given.reply_id, given.conversation, given.person.id) == (reply["ts"], slack.channel, slack.user)
    assert (given.vote, given.removed, taken.removed) == (Vote.UP, False, True)
    assert given.at < taken.at


async def test_an_edit_that_adds_the_mention_asks_and_a_deletion_does_not(slack: Workspace) -> None:
    """The edited message keeps its ts, so that it is asked once."""
    async with slack.listening() as bot:
        said = await slack.people.say("what is it?", channel=slack.channel, user=slack.user)
        await slack.people.edit(said, f"<@{slack.me.user_id}> what is it?")
        changed = read_event(await bot.event("message", subtype="message_changed"), me=slack.me, tenant="acme")
        await slack.people.delete(said)
        gone = await bot.event("message", subtype="message_deleted")
    assert isinstance(changed, Question)
    assert (changed.message_id, changed.person.id, changed.text) == (said["ts"], slack.user, "what is it?")
    assert gone["event"]["deleted_ts"] == said["ts"]
    assert isinstance(read_event(gone, me=slack.me, tenant="acme"), Ignored)


async def test_a_click_on_a_thumb_is_a_vote_and_opens_one_dialog(slack: Workspace) -> None:
    """The click carries the button's value, the message and a trigger that is good once."""
    reply = await slack.post("It is ten.")
    action = {"type": "feedback_buttons", "action_id": "vote", "value": button_value(Vote.DOWN, reply["ts"])}
    async with slack.listening() as bot:
        await slack.people.click({"channel": slack.channel, "ts": reply["ts"]}, action, user=slack.user)
        body = await bot.next(lambda payload: payload.get("type") == "block_actions")
    rating = read_button(body, tenant="acme")
    assert isinstance(rating, Rating)
    assert (rating.vote, rating.reply_id, rating.conversation) == (Vote.DOWN, reply["ts"], slack.channel)
    assert rating.person.id == slack.user
    assert rating.person.team == slack.me.team_id
    view = {"type": "modal", "title": {"type": "plain_text", "text": "Why?"}, "blocks": [{"type": "divider"}]}
    opened = await slack.call("views.open", trigger_id=body["trigger_id"], view=view)
    assert opened["view"]["id"].startswith("V")
