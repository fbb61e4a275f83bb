"""Who may talk to the bot: the token that every request carries, from the outside (HTTP status) and the inside (keys)."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable

import jwt
import pytest

from bot.teams.tokens import KeysUnavailable, SigningKeys, TokenVerifier, Unauthorized
from bot.teams.transport import Pool
from tests.fakes.teams_activities import message
from tests.fakes.teams_bot import TeamsBot, running_bot, unsigned_settings
from tests.fakes.teams_connector import APP_ID, FakeIdentity, private_key

HOUR = 3600


def _tampered(token: str) -> str:
    head, _, signature = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False}) | {"sub": "somebody else"}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


def _public_pem(kid: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return private_key(kid).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _hs256_with_public_key(bot: TeamsBot) -> str:
    """The classic confusion: the public key taken for a shared secret. PyJWT refuses to mint it, so by hand."""
    import hashlib
    import hmac

    claims = jwt.decode(bot.token(), options={"verify_signature": False})
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "key-1"}, claims]
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = hmac.new(_public_pem("key-1"), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


BAD_TOKENS: dict[str, Callable[[TeamsBot], str]] = {
    "garbage": lambda bot: "garbage",
    "three dots of garbage": lambda bot: "a.b.c",
    "an unsigned token": lambda bot: bot.token(algorithm="none", secret=""),
    "a shared secret": lambda bot: bot.token(algorithm="HS256", secret="s" * 32),
    "the public key as a shared secret": _hs256_with_public_key,
    "another RSA algorithm": lambda bot: bot.token(algorithm="RS512"),
    "another key under a known id": lambda bot: bot.token(signed_by="stranger"),
    "an unknown key id": lambda bot: bot.token(kid="key-unknown"),
    "no key id": lambda bot: bot.token(kid=None),
    "a key that the token brings along": lambda bot: bot.token(
        kid="mine", headers={"jku": "http://evil.example/keys", "jwk": {"kty": "RSA"}}
    ),
    "changed claims": lambda bot: _tampered(bot.token()),
    "a cut signature": lambda bot: bot.token()[:-20],
    "no signature": lambda bot: bot.token().rpartition(".")[0] + ".",
    "expired": lambda bot: bot.token(exp=int(time.time()) - HOUR),
    "no expiry": lambda bot: bot.token(without=("exp",)),
    "not valid yet": lambda bot: bot.token(nbf=int(time.time()) + HOUR),
    "issued in the future": lambda bot: bot.token(iat=int(time.time()) + HOUR),
    "another audience": lambda bot: bot.token(aud="99999999-0000-0000-0000-000000000000"),
    "several audiences": lambda bot: bot.token(aud=[APP_ID, "other"]),
    "no audience": lambda bot: bot.token(without=("aud",)),
    "another issuer": lambda bot: bot.token(iss="https://evil.example"),
    "a part of the issuer": lambda bot: bot.token(iss="https://api"),
    "no issuer": lambda bot: bot.token(without=("iss",)),
    "the emulator's issuer": lambda bot: bot.token(
        iss="https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/", ver="1.0", appid=APP_ID
    ),
    "another service URL": lambda bot: bot.token(serviceurl="https://evil.example/"),
    "no service URL": lambda bot: bot.token(without=("serviceurl",)),
    "a service URL that is no text": lambda bot: bot.token(serviceurl=7),
}


@pytest.mark.parametrize("case", BAD_TOKENS)
async def test_a_bad_token_is_refused_with_401_and_nothing_is_asked(bot: TeamsBot, case: str) -> None:
    """Each of them is somebody else's."""
    assert await bot.send(message("What is it?"), token=BAD_TOKENS[case](bot)) == 401
    assert not bot.store.questions
    assert await bot.send(message("What is it?")) == 200, "the right token still passes"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "token"])
async def test_without_a_bearer_token_it_is_401(bot: TeamsBot, authorization: str | None) -> None:
    """Even when the rest of the request is right."""
    assert await bot.post(json.dumps(message("What is it?")), authorization) == 401
    assert not bot.store.questions


@pytest.mark.parametrize("endorsements", [("webchat",), (), None])
async def test_a_key_that_is_not_endorsed_for_teams_is_refused(endorsements: tuple[str, ...] | None) -> None:
    """Other channels sign with keys of the same list."""
    async with running_bot(identity=FakeIdentity(endorsements=endorsements)) as bot:
        assert await bot.send(message("What is it?")) == 401
        assert not bot.store.questions


async def test_an_activity_without_a_service_url_is_refused(bot: TeamsBot) -> None:
    """Otherwise nothing would say where the answer may go."""
    activity = message("What is it?")
    del activity["serviceUrl"]
    assert await bot.post(json.dumps(activity), f"Bearer {bot.token()}") == 401


async def test_an_activity_of_a_channel_that_the_key_does_not_cover_is_refused(bot: TeamsBot) -> None:
    """The channel is a claim of the body until the key's endorsement says the same."""
    assert await bot.send(message("What is it?", channelId="directline")) == 401


async def test_a_clock_that_is_four_minutes_off_is_forgiven(bot: TeamsBot) -> None:
    """Microsoft allows five."""
    now = int(time.time())
    assert await bot.send(message("Late?"), token=bot.token(exp=now - 240)) == 200
    assert await bot.send(message("Early?", id="2"), token=bot.token(nbf=now + 240, iat=now + 240)) == 200


async def test_a_bad_token_says_nothing_about_the_reason(bot: TeamsBot) -> None:
    """The log does."""
    await bot.send(message("What is it?"), token=bot.token(iss="https://evil.example"))
    assert bot.responses == [""]


async def test_when_the_keys_cannot_be_fetched_the_channel_is_asked_to_come_back(bot: TeamsBot) -> None:
    """503, not 401: the request may well be right."""
    bot.identity.down = True
    assert await bot.send(message("What is it?")) == 503
    assert not bot.store.questions


async def test_fetching_keys_does_not_block_the_event_loop(bot: TeamsBot) -> None:
    """While the key server hangs, other things go on; it runs in this loop, so a blocking fetch could never end."""
    bot.identity.gate.clear()
    waiting = asyncio.create_task(bot.send(message("What is it?")))
    while not bot.identity.requests:
        await asyncio.sleep(0.001)
    assert await bot.post("no json") == 401
    assert not waiting.done()
    bot.identity.gate.set()
    assert await waiting == 200


async def test_the_keys_are_fetched_once_for_many_requests(bot: TeamsBot) -> None:
    """Also when they arrive at the same moment."""
    statuses = await asyncio.gather(*(bot.send(message("What is it?", id=str(n))) for n in range(10)))
    assert statuses == [200] * 10
    assert bot.identity.requests == 1


async def test_readiness_says_whether_requests_can_be_verified(bot: TeamsBot) -> None:
    """`/readyz` asks this."""
    bot.identity.down = True
    with pytest.raises(KeysUnavailable):
        await bot.adapter.check()
    async with running_bot() as healthy:
        await healthy.adapter.check()


async def test_starting_without_a_key_server_is_no_reason_to_stop(bot: TeamsBot) -> None:
    """Slack and the console work all the same."""
    bot.identity.down = True
    await bot.adapter.start()


class _Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def test_a_new_key_is_found_as_soon_as_it_is_used() -> None:
    """Microsoft rotates keys whenever it likes; the old ones were fetched minutes ago."""
    identity, clock, pool = FakeIdentity(), _Clock(), Pool()
    async with identity.listening() as url:
        verifier = TokenVerifier(APP_ID, SigningKeys(pool.session, url, clock=clock))
        await verifier.verify(f"Bearer {identity.token()}")
        identity.published["key-2"] = ("msteams",)
        clock.now += 61
        voucher = await verifier.verify(f"Bearer {identity.token(kid='key-2')}")
        assert voucher.channels == {"msteams"}
        await pool.close()


async def test_strangers_key_ids_do_not_make_us_ask_more_than_once_a_minute() -> None:
    """Otherwise anybody could make the bot hammer Microsoft."""
    identity, clock, pool = FakeIdentity(), _Clock(), Pool()
    async with identity.listening() as url:
        verifier = TokenVerifier(APP_ID, SigningKeys(pool.session, url, clock=clock))
        await verifier.verify(f"Bearer {identity.token()}")
        for number in range(5):
            with pytest.raises(Unauthorized):
                await verifier.verify(f"Bearer {identity.token(kid=f'unknown-{number}')}")
        assert identity.requests == 1
        await pool.close()


async def test_keys_are_fetched_again_after_a_day_and_a_withdrawn_one_is_refused() -> None:
    """So that a key that leaked stops working."""
    identity, clock, pool = FakeIdentity(), _Clock(), Pool()
    async with identity.listening() as url:
        verifier = TokenVerifier(APP_ID, SigningKeys(pool.session, url, clock=clock))
        await verifier.verify(f"Bearer {identity.token()}")
        identity.published = {"key-2": ("msteams",)}
        clock.now += 25 * HOUR
        with pytest.raises(Unauthorized):
            await verifier.verify(f"Bearer {identity.token()}")
        await pool.close()


async def test_known_keys_go_on_working_while_the_key_server_is_down() -> None:
    """An outage over there is no outage here."""
    identity, clock, pool = FakeIdentity(), _Clock(), Pool()
    async with identity.listening() as url:
        verifier = TokenVerifier(APP_ID, SigningKeys(pool.session, url, clock=clock))
        await verifier.verify(f"Bearer {identity.token()}")
        identity.down = True
        clock.now += 25 * HOUR
        await verifier.verify(f"Bearer {identity.token()}")
        await pool.close()


async def test_kinds_of_keys_that_we_do_not_use_are_skipped() -> None:
    """One odd entry must not hide the others."""
    identity, pool = FakeIdentity(), Pool()
    identity.extra_keys = [{"kty": "EC", "kid": "ec"}, {"kty": "RSA", "kid": "broken", "n": "!"}, {}]
    async with identity.listening() as url:
        await TokenVerifier(APP_ID, SigningKeys(pool.session, url)).verify(f"Bearer {identity.token()}")
        await pool.close()


async def test_unsigned_requests_pass_only_where_they_are_allowed() -> None:
    """`PROMPTAI_TEAMS_UNSIGNED=1`, for the Agents Playground."""
    async with running_bot(unsigned_settings()) as bot:
        activity = json.dumps(message("What is it?") | {"serviceUrl": bot.service_url})
        assert await bot.post(activity) == 200
        assert bot.store.questions


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Content-Type": "text/plain"}])
async def test_a_web_page_in_a_local_browser_cannot_use_the_unsigned_mode(headers: dict[str, str]) -> None:
    """A page may post text anywhere, and may name its own host an address of this machine."""
    async with running_bot(unsigned_settings()) as bot:
        activity = json.dumps(message("What is it?") | {"serviceUrl": bot.service_url})
        assert await bot.post(activity, headers=headers) == 401
        assert not bot.store.questions
