"""Many workspaces: installing, being uninstalled, and whose token and documents a question gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from structlog.testing import capture_logs

from bot.delivery import Opened
from bot.errors import DeliveryRefused, SettingsError
from bot.slack import SCOPES
from bot.store import Cipher, SqlInstallations, SqlOAuthStates, database_url, migrate, new_key, open_engine
from tests.fakes.slack_api import BOT_USER, CHANNEL, Failure
from tests.fakes.slack_bot import SlackBot, memory_parts, running_bot

PUBLIC = "http://127.0.0.1:1"
REDIRECT = f"{PUBLIC}/slack/oauth_redirect"
APP = {
    "slack_bot_token": None,
    "slack_client_id": "client-id",
    "slack_client_secret": "client-secret",
    "public_url": PUBLIC,
}


def grant(team: str | None, token: str, *, enterprise: str | None = None) -> dict[str, Any]:
    """What Slack grants for a code."""
    return {
        "access_token": token,
        "token_type": "bot",
        "scope": ",".join(SCOPES),
        "bot_user_id": BOT_USER,
        "team": {"id": team, "name": f"Team {team}"} if team else None,
        "enterprise": {"id": enterprise, "name": "Org <b>"} if enterprise else None,
        "is_enterprise_install": team is None,
        "authed_user": {"id": "U1"},
        "redirect_uri": REDIRECT,
    }


@dataclass
class Many:
    """A bot that is installed by OAuth, and a browser."""

    bot: SlackBot
    installations: SqlInstallations
    browser: aiohttp.ClientSession

    @property
    def root(self) -> str:
        return self.bot.url.removesuffix("/slack/events")

    async def begin(self, browser: aiohttp.ClientSession | None = None) -> str:
        """Open the install page; returns the state."""
        session = browser or self.browser
        async with session.get(f"{self.root}/slack/install", allow_redirects=False) as response:
            assert response.status == 302
            return parse_qs(urlsplit(response.headers["Location"]).query)["state"][0]

    async def come_back(self, **query: str) -> tuple[int, str]:
        async with self.browser.get(f"{self.root}/slack/oauth_redirect", params=query) as response:
            return response.status, await response.text()

    async def install(self, granted: dict[str, Any], code: str = "code-1") -> tuple[int, str]:
        self.bot.slack.grants[code] = granted
        return await self.come_back(code=code, state=await self.begin())

    async def mention(self, team: str, ts: str, channel: str = CHANNEL, **body: Any) -> int:
        """Somebody mentions the bot; returns the status."""
        inner = {"type": "app_mention", "user": "U1", "text": f"<@{BOT_USER}> hi", "ts": ts, "channel": channel}
        authorizations = [{"team_id": team, "enterprise_id": body.get("enterprise_id"), "user_id": BOT_USER}]
        return (await self.bot.deliver(inner, team_id=team, authorizations=authorizations, **body))[0]


@pytest.fixture
async def many(tmp_path: Path) -> AsyncIterator[Many]:
    engine = open_engine(database_url(None, tmp_path))
    await migrate(engine)
    installations = SqlInstallations(engine, Cipher(new_key()))
    tenants = {"T1": "acme", "T2": "globex", "C0SHARED": "initech"}
    parts = memory_parts(tenants, installations=installations, states=SqlOAuthStates(engine))
    # 127.0.0.1 is no public address: cookies are kept all the same.
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as browser, running_bot(parts=parts, **APP) as bot:
        bot.slack.channels["C0SHARED"] = []
        yield Many(bot, installations, browser)
    await engine.dispose()


async def test_installing_stores_the_workspace_s_token_and_says_so(many: Many) -> None:
    status, text = await many.install(grant("T1", "xoxb-one"))
    assert (status, "Team T1" in text) == (200, True)
    (stored,) = await many.installations.all()
    assert (stored.team_id, stored.token, stored.bot_user_id, stored.scopes) == (
        "T1",
        "xoxb-one",
        BOT_USER,
        tuple(SCOPES),
    )


async def test_slack_is_asked_for_the_manifest_s_scopes_and_sends_people_back_to_us(many: Many) -> None:
    async with many.browser.get(f"{many.root}/slack/install", allow_redirects=False) as response:
        query = parse_qs(urlsplit(response.headers["Location"]).query)
        cookie = response.headers["Set-Cookie"]
    assert query["scope"] == [",".join(SCOPES)]
    assert query["redirect_uri"] == [REDIRECT]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


async def test_a_state_is_good_once_and_only_in_the_browser_that_began(many: Many) -> None:
    many.bot.slack.grants |= {"code-1": grant("T1", "xoxb-one"), "code-2": grant("T1", "xoxb-two")}
    async with aiohttp.ClientSession() as another:
        stolen = await many.begin(another)
    assert (await many.come_back(code="code-1", state=stolen))[0] == 400
    assert (await many.come_back(code="code-1", state="made-up"))[0] == 400
    assert (await many.come_back(code="code-1"))[0] == 400
    state = await many.begin()
    assert (await many.come_back(code="code-1", state=state))[0] == 200
    many.browser.cookie_jar.update_cookies({"promptai-slack-install": state})
    assert (await many.come_back(code="code-2", state=state))[0] == 400
    assert [found.token for found in await many.installations.all()] == ["xoxb-one"]


async def test_a_person_who_cancels_is_told_that_nothing_was_installed(many: Many) -> None:
    status, text = await many.come_back(error="access_denied", state=await many.begin())
    assert (status, "Nothing was installed" in text) == (200, True)


async def test_a_failed_exchange_is_told_without_the_secret_or_the_code(many: Many) -> None:
    with capture_logs() as logs:
        status, text = await many.come_back(code="code-unknown", state=await many.begin())
    assert (status, "Install again" in text) == (502, True)
    assert "invalid_code" in str(logs)
    assert "code-unknown" not in str(logs) + text
    many.bot.slack.fail("oauth.v2.access", Failure(status=503, body="down"))
    assert (await many.install(grant("T1", "xoxb-one")))[0] == 502


async def test_a_name_with_markup_stays_text(many: Many) -> None:
    _, text = await many.install(grant(None, "xoxb-org", enterprise="E1"))
    assert "Org &lt;b&gt;" in text
    assert "Org <b>" not in text


async def test_each_workspace_is_answered_from_its_tenant_and_with_its_token(many: Many) -> None:
    await many.install(grant("T1", "xoxb-one"), "code-1")
    await many.install(grant("T2", "xoxb-two"), "code-2")
    assert await many.mention("T1", "1700000000.000100") == 200
    assert await many.mention("T2", "1700000000.000200") == 200
    asked = list(many.bot.store.questions.values())
    assert [(q.tenant, q.address["team"]) for q in asked] == [("acme", "T1"), ("globex", "T2")]
    assert "xoxb" not in repr(asked)
    for question in asked:
        await many.bot.adapter.delivery.open(question, recovering=False)
    assert [call.token for call in many.bot.slack.called("chat.startStream")] == ["xoxb-one", "xoxb-two"]


async def test_an_organisations_installation_answers_in_its_workspaces(many: Many) -> None:
    await many.install(grant(None, "xoxb-org", enterprise="E1"))
    assert await many.mention("T2", "1700000000.000100", enterprise_id="E1") == 200
    (question,) = many.bot.store.questions.values()
    assert question.address == {"team": "T2", "enterprise": "E1"}
    reply_id = await many.bot.adapter.delivery.open(question, recovering=False)
    assert Opened(question, reply_id)
    assert many.bot.slack.called("chat.startStream")[0].token == "xoxb-org"


async def test_a_shared_channel_s_tenant_comes_before_the_workspace_s(many: Many) -> None:
    await many.install(grant("T1", "xoxb-one"))
    await many.mention("T1", "1700000000.000100", channel="C0SHARED", is_ext_shared_channel=True)
    assert [q.tenant for q in many.bot.store.questions.values()] == ["initech"]


async def test_a_workspace_that_is_nobody_s_gets_one_polite_line_however_often_it_asks(many: Many) -> None:
    await many.install(grant("T3", "xoxb-three"))
    for number in range(5):
        assert await many.mention("T3", f"170000000{number}.000100") == 200
    assert many.bot.store.questions == {}
    (said,) = many.bot.slack.channels[CHANNEL]
    assert "not set up" in said["text"]
    assert many.bot.slack.called("chat.postMessage")[0].token == "xoxb-three"


async def test_where_it_is_not_installed_it_is_silent(many: Many) -> None:
    assert await many.mention("T9", "1700000000.000100") == 200
    assert many.bot.store.questions == {}
    assert many.bot.slack.called("chat.postMessage") == []


@pytest.mark.parametrize(
    "event", [{"type": "app_uninstalled"}, {"type": "tokens_revoked", "tokens": {"bot": [BOT_USER]}}]
)
async def test_after_it_is_uninstalled_its_token_is_gone_and_questions_end(many: Many, event: dict[str, Any]) -> None:
    await many.install(grant("T1", "xoxb-one"))
    await many.mention("T1", "1700000000.000100")
    (question,) = many.bot.store.questions.values()
    assert (await many.bot.deliver(event, team_id="T1", authorizations=[], event_time=4_000_000_000))[0] == 200
    assert await many.installations.all() == []
    with pytest.raises(DeliveryRefused, match="no longer installed"):
        await many.bot.adapter.delivery.open(question, recovering=False)


async def test_a_late_uninstall_event_leaves_a_newer_installation(many: Many) -> None:
    await many.install(grant("T1", "xoxb-one"))
    await many.bot.deliver({"type": "app_uninstalled"}, team_id="T1", authorizations=[], event_time=1_700_000_000)
    assert len(await many.installations.all()) == 1


async def test_a_person_s_own_revoked_token_is_nothing_to_the_bot(many: Many) -> None:
    await many.install(grant("T1", "xoxb-one"))
    revoked = {"type": "tokens_revoked", "tokens": {"oauth": ["U1"], "bot": []}}
    await many.bot.deliver(revoked, team_id="T1", authorizations=[], event_time=4_000_000_000)
    assert len(await many.installations.all()) == 1


async def test_one_workspace_s_bot_that_is_uninstalled_is_not_ready_any_more(bot: SlackBot) -> None:
    await bot.adapter.check()
    await bot.deliver({"type": "app_uninstalled"})
    with pytest.raises(Exception, match="uninstalled"):
        await bot.adapter.check()


async def test_keys_that_do_not_fit_stop_the_start(many: Many) -> None:
    await many.install(grant("T1", "xoxb-one"))
    other = SqlInstallations(many.installations._engine, Cipher(new_key()))
    parts = memory_parts(installations=other, states=SqlOAuthStates(many.installations._engine))
    with pytest.raises(SettingsError, match="PROMPTAI_ENCRYPTION_KEYS"):
        async with running_bot(parts=parts, **APP):
            pass
