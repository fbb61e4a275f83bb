"""Sending to the Bot Connector: how it fails, and what is tried again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import aiohttp
import pytest

from bot.errors import DeliveryRefused, DeliveryUnavailable
from bot.teams import rendering, texts
from bot.teams.activity import conversation_reference
from bot.teams.connector import ATTEMPTS, BotConnector
from bot.teams.credentials import BotToken
from bot.teams.pacing import Pace
from bot.teams.transport import REQUEST_TIMEOUT, Pool
from tests.fakes.teams_activities import channel_message, message
from tests.fakes.teams_connector import APP_ID, BOT_TOKEN, FakeConnector, Fault, LocalCredentials, listening


class Sending:
    """A connector client, the fake that it talks to, and the pauses that it made (none is really waited for)."""

    def __init__(self, service_url: str) -> None:
        self.fake = FakeConnector()
        self.pauses: list[float] = []
        self.pool = Pool()
        self.credentials = LocalCredentials()
        self.now = 1_000.0
        token = BotToken(self.credentials, APP_ID, clock=lambda: self.now)
        minutes = count(step=60.0)  # no limit of a conversation is ever reached
        self.client = BotConnector(
            self.pool,
            token,
            plain_loopback=True,
            pace=Pace(clock=lambda: next(minutes)),
            pause=self._pause,
            jitter=lambda: 0.5,
        )
        self.reference = conversation_reference(message("x") | {"serviceUrl": service_url})

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


@asynccontextmanager
async def _sending() -> AsyncIterator[Sending]:
    sending = Sending("")
    async with listening(sending.fake.app()) as url:
        sending.reference = conversation_reference(message("x") | {"serviceUrl": f"{url}/amer/"})
        yield sending
        await sending.pool.close()


@pytest.fixture
async def sending() -> AsyncIterator[Sending]:
    async with _sending() as ready:
        yield ready


async def test_a_post_carries_the_bots_token_and_gives_the_id(sending: Sending) -> None:
    """In the conversation of the reference, as a message of the bot."""
    activity_id = await sending.client.post(sending.reference, rendering.opening())
    assert activity_id in sending.fake.conversations["a:chat-1"]
    [call] = sending.fake.calls
    assert call.authorization == f"Bearer {BOT_TOKEN}-1"
    assert (call.activity["from"]["id"][:3], call.activity["recipient"]["id"]) == ("28:", "29:ada")
    assert "replyToId" not in call.activity


async def test_a_channel_thread_is_addressed_by_its_whole_id(sending: Sending) -> None:
    """Colons, semicolons and all; otherwise the answer would begin a new thread."""
    question = channel_message("x", root="17")
    service_url = json.loads(sending.reference)["serviceUrl"]
    await sending.client.post(conversation_reference(question | {"serviceUrl": service_url}), rendering.opening())
    assert list(sending.fake.conversations) == [question["conversation"]["id"]]
    assert "/19%3Aabc%40thread.tacv2%3Bmessageid%3D17/" in sending.fake.calls[0].path, "quoted, as Microsoft's SDKs do"


async def test_one_token_serves_many_messages_for_a_while(sending: Sending) -> None:
    """And is fetched again before it expires."""
    for _ in range(3):
        await sending.client.post(sending.reference, rendering.opening())
        sending.now += 60
    assert sending.credentials.asked == 1
    sending.now += 600
    await sending.client.post(sending.reference, rendering.opening())
    assert sending.credentials.asked == 2


async def test_many_messages_at_once_fetch_one_token(sending: Sending) -> None:
    """Microsoft limits how often it may be asked."""
    await asyncio.gather(*(sending.client.post(sending.reference, rendering.opening()) for _ in range(20)))
    assert sending.credentials.asked == 1
    assert len(sending.fake.shown("a:chat-1")) == 20


@pytest.mark.parametrize("error", [PermissionError("AADSTS7000215"), ConnectionError("no route"), ValueError("x")])
async def test_without_a_token_the_operator_reads_what_to_check(sending: Sending, error: Exception) -> None:
    """Nothing is sent."""
    sending.credentials.error = error
    with pytest.raises(DeliveryUnavailable, match="MICROSOFT_APP_PASSWORD"):
        await sending.client.post(sending.reference, rendering.opening())
    assert sending.fake.calls == []


@pytest.mark.parametrize("status", [412, 429, 502, 503, 504])
async def test_transient_errors_are_tried_again(sending: Sending, status: int) -> None:
    """With growing pauses."""
    sending.fake.faults.extend([Fault(status)] * 3)
    await sending.client.post(sending.reference, rendering.opening())
    assert len(sending.fake.calls) == 4
    assert sending.pauses == sorted(sending.pauses)
    assert len(set(sending.pauses)) == 3


async def test_trying_again_has_an_end(sending: Sending) -> None:
    """Then the workflow decides."""
    sending.fake.fault = Fault(502, body="<html>Bad Gateway</html>", content_type="text/html")
    with pytest.raises(DeliveryUnavailable, match="502"):
        await sending.client.post(sending.reference, rendering.opening())
    assert len(sending.fake.calls) == ATTEMPTS


@pytest.mark.parametrize(
    ("fault", "maybe_done"),
    [
        (Fault(400), False),
        (Fault(429, {"Retry-After": "120"}), False),
        (Fault(503), False),
        (Fault(500), True),
        (Fault(504), True),
        (Fault(disconnect=True), True),
        (Fault(200, body="?"), True),
    ],
)
async def test_the_error_tells_whether_it_may_have_arrived(sending: Sending, fault: Fault, maybe_done: bool) -> None:
    sending.fake.fault = fault
    with pytest.raises(DeliveryUnavailable) as caught:
        await sending.client.post(sending.reference, rendering.opening(), progress=True)
    assert caught.value.maybe_done is maybe_done


async def test_nothing_arrived_where_no_connection_came_about(sending: Sending) -> None:
    nowhere = json.dumps(json.loads(sending.reference) | {"serviceUrl": "http://127.0.0.1:1/"})
    with pytest.raises(DeliveryUnavailable) as caught:
        await sending.client.post(nowhere, rendering.opening())
    assert caught.value.maybe_done is False


async def test_an_attempt_that_may_have_arrived_is_remembered(sending: Sending) -> None:
    """Also where the later ones surely did not."""
    sending.fake.faults.extend([Fault(504), *[Fault(503)] * 3])
    with pytest.raises(DeliveryUnavailable) as caught:
        await sending.client.post(sending.reference, rendering.opening())
    assert caught.value.maybe_done


async def test_teams_says_how_long_to_wait(sending: Sending) -> None:
    """`Retry-After` in seconds."""
    sending.fake.faults.extend([Fault(429, {"Retry-After": "7"}), Fault(429, {"Retry-After": "0"})])
    await sending.client.post(sending.reference, rendering.opening())
    assert sending.pauses == [7.0, 0.0]


async def test_a_wait_that_is_too_long_is_left_to_the_caller(sending: Sending) -> None:
    """With the seconds that Teams asked for."""
    sending.fake.fault = Fault(429, {"Retry-After": "120"})
    with pytest.raises(DeliveryUnavailable) as caught:
        await sending.client.post(sending.reference, rendering.opening())
    assert caught.value.retry_after == 120
    assert sending.pauses == []


@pytest.mark.parametrize("value", ["soon", "Wed, 21 Oct 2026 07:28:00 GMT", "-3", ""])
async def test_an_odd_retry_after_does_no_harm(sending: Sending, value: str) -> None:
    """A usual pause is made instead."""
    sending.fake.faults.append(Fault(429, {"Retry-After": value}))
    await sending.client.post(sending.reference, rendering.opening())
    assert sending.pauses in ([1.0], [0.0])


async def test_a_broken_connection_is_tried_again(sending: Sending) -> None:
    """Even though the message may have arrived: repeating it is better than silence."""
    sending.fake.faults.append(Fault(disconnect=True))
    await sending.client.post(sending.reference, rendering.opening())
    assert len(sending.fake.calls) == 2


async def test_a_post_whose_answer_was_lost_may_appear_twice(sending: Sending) -> None:
    """The documented window: Teams cannot be asked what it holds."""
    sending.fake.faults.append(Fault(504, after_storing=True))
    await sending.client.post(sending.reference, rendering.opening())
    assert len(sending.fake.shown("a:chat-1")) == 2


async def test_an_update_whose_answer_was_lost_appears_once(sending: Sending) -> None:
    """Updates replace."""
    reply = await sending.client.post(sending.reference, rendering.opening())
    sending.fake.faults.append(Fault(504, after_storing=True))
    await sending.client.update(sending.reference, reply, rendering.plain_message("Hello"))
    assert len(sending.fake.shown("a:chat-1")) == 1


@pytest.mark.parametrize("status", [403, 404])
async def test_what_will_never_work_is_not_tried_again(sending: Sending, status: int) -> None:
    """The bot was removed, or the conversation is gone."""
    sending.fake.fault = Fault(status, body='{"error": {"code": "BotNotInConversationRoster"}}')
    with pytest.raises(DeliveryRefused, match="BotNotInConversationRoster"):
        await sending.client.post(sending.reference, rendering.opening())
    assert len(sending.fake.calls) == 1


@pytest.mark.parametrize("status", [400, 401, 413, 500])
async def test_other_errors_are_unavailable_at_once(sending: Sending, status: int) -> None:
    """Trying again would not help, but somebody may mend it."""
    sending.fake.fault = Fault(status)
    with pytest.raises(DeliveryUnavailable, match=str(status)):
        await sending.client.post(sending.reference, rendering.opening())
    assert len(sending.fake.calls) == 1


async def test_a_redirect_is_not_followed(sending: Sending) -> None:
    """The bot's token must not travel."""
    sending.fake.fault = Fault(302, {"Location": "http://127.0.0.1:1/evil"})
    with pytest.raises(DeliveryUnavailable, match="302"):
        await sending.client.post(sending.reference, rendering.opening())


@pytest.mark.parametrize("body", ["no json", "<html>", "[]", "7", "\xff"])
async def test_an_answer_that_makes_no_sense_is_unavailable(sending: Sending, body: str) -> None:
    """Foreign exceptions stay at the boundary."""
    sending.fake.fault = Fault(200, body=body, content_type="text/html")
    with pytest.raises(DeliveryUnavailable, match="made no sense"):
        await sending.client.post(sending.reference, rendering.opening())


async def test_an_error_does_not_quote_the_conversation(sending: Sending) -> None:
    """Only its code reaches the log."""
    sending.fake.fault = Fault(400, body='{"error": {"code": "BadSyntax", "message": "a private question"}}')
    with pytest.raises(DeliveryUnavailable) as caught:
        await sending.client.post(sending.reference, rendering.opening())
    assert "private" not in str(caught.value)


@pytest.mark.parametrize(
    "service_url",
    [
        "http://smba.example/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/",
        "ftp://smba.example/",
        "file:///etc/passwd",
        "smba.example",
        "https://",
        "",
        "https://smba.example/{conversationId}",
    ],
)
async def test_replies_go_to_https_only(sending: Sending, service_url: str) -> None:
    """Nothing is sent, and no token is fetched."""
    reference = conversation_reference(message("x") | {"serviceUrl": service_url})
    with pytest.raises(DeliveryRefused, match="https"):
        await sending.client.post(reference, rendering.opening())
    assert sending.credentials.asked == 0


async def test_in_production_this_machine_is_no_service_url() -> None:
    """Loopback is for the unsigned mode and tests."""
    async with _sending() as sending:
        strict = BotConnector(sending.pool, BotToken(sending.credentials, APP_ID), plain_loopback=False)
        with pytest.raises(DeliveryRefused):
            await strict.post(sending.reference, rendering.opening())
        assert sending.fake.calls == []


async def test_unsigned_mode_sends_no_token() -> None:
    """The Playground checks none, and Microsoft is not asked for one."""
    async with _sending() as sending:
        await BotConnector(sending.pool, None, plain_loopback=True).post(sending.reference, rendering.opening())
        assert sending.fake.calls[0].authorization is None


def test_wire_text_is_the_text() -> None:
    """msrest serialises what we render, with nothing added but nulls left out."""
    assert texts.cleared(2).serialize() == {
        "type": "message",
        "text": "Done: I have taken back your 2 ratings.",
        "textFormat": "markdown",
    }


async def test_a_connector_that_does_not_answer_is_given_up_and_tried_again(sending: Sending) -> None:
    """After fifteen seconds in earnest; here sooner."""
    hurried = BotConnector(
        sending.pool,
        None,
        plain_loopback=True,
        pause=sending._pause,
        timeout=aiohttp.ClientTimeout(total=0.05),
    )
    reply = await sending.client.post(sending.reference, rendering.opening())
    sending.fake.gate.clear()
    with pytest.raises(DeliveryUnavailable, match="Timeout"):
        await hurried.update(sending.reference, reply, rendering.opening())
    assert len(sending.fake.made("PUT")) == ATTEMPTS
    sending.fake.gate.set()


def test_requests_have_fifteen_seconds() -> None:
    """As long as Teams gives us."""
    assert REQUEST_TIMEOUT.total == 15


async def test_retries_count_against_the_conversations_limits(sending: Sending) -> None:
    """Each is a request to Teams."""
    now, waited = 100.0, []

    async def pause(seconds: float) -> None:
        nonlocal now
        now += seconds
        waited.append(seconds)

    pace = Pace(clock=lambda: now, pause=pause)
    client = BotConnector(sending.pool, None, plain_loopback=True, pace=pace, pause=sending._pause)
    sending.fake.faults.extend([Fault(503)] * 3)
    for _ in range(4):
        await client.post(sending.reference, rendering.opening())
    assert waited == []
    await client.post(sending.reference, rendering.opening())
    assert len(waited) == 1, "seven requests were made in this second: four posts and three retries"


async def test_progress_is_tried_once(sending: Sending) -> None:
    """The next one will say more."""
    sending.fake.fault = Fault(503)
    with pytest.raises(DeliveryUnavailable):
        await sending.client.post(sending.reference, rendering.opening(), progress=True)
    assert len(sending.fake.calls) == 1
