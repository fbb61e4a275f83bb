"""Installing the app through a third party's OAuth server, with its page for picking a person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from bs4 import BeautifulSoup

from bot.settings import BotSettings
from bot.slack import SCOPES, SlackAdapter
from bot.slack.api import SlackApi, make_client
from bot.store import Cipher, SqlInstallations, SqlOAuthStates, database_url, migrate, new_key, open_engine
from tests.fakes.slack_bot import memory_parts
from tests.fakes.teams_store import memory_conversation
from tests.real.slack.emulate import CLIENT_ID, CLIENT_SECRET, WORKSPACE, EmulateMissing, running_emulate
from tests.real.slack.local_slack import free_port

pytestmark = pytest.mark.real


@dataclass
class Installing:
    """The bot's pages, a browser, and what was stored."""

    url: str
    api_url: str
    browser: aiohttp.ClientSession
    installations: SqlInstallations

    async def consent(self) -> tuple[str, dict[str, str]]:
        """Go from `/slack/install` to the server's page; returns the form of the first person on it."""
        async with self.browser.get(f"{self.url}/slack/install") as response:
            assert response.status == 200
            form = BeautifulSoup(await response.text(), "html.parser").select_one("form.user-form")
            assert form is not None
            fields = {str(field["name"]): str(field["value"]) for field in form.select("input[name]")}
            return str(response.url.join(response.url.with_path(str(form["action"])).with_query(None))), fields

    async def agree(self) -> tuple[int, str]:
        """Install; returns what our page says."""
        action, fields = await self.consent()
        async with self.browser.post(action, data=fields) as response:
            return response.status, await response.text()


@pytest.fixture
async def installing(tmp_path: Path) -> AsyncIterator[Installing]:
    port, engine = free_port(), open_engine(database_url(None, tmp_path))
    url = f"http://127.0.0.1:{port}"
    await migrate(engine)
    installations = SqlInstallations(engine, Cipher(new_key()))
    try:
        async with running_emulate(tmp_path, free_port(), f"{url}/slack/oauth_redirect", list(SCOPES)) as api_url:
            settings = BotSettings(
                _env_file=None,
                slack_client_id=CLIENT_ID,
                slack_client_secret=CLIENT_SECRET,
                slack_signing_secret="a-signing-secret",
                slack_api_url=api_url,
                public_url=url,
            )
            parts = memory_parts(installations=installations, states=SqlOAuthStates(engine))
            adapter = SlackAdapter(memory_conversation()[0], settings, parts)
            app = web.Application()
            adapter.add_routes(app)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            await adapter.start()
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
                yield Installing(url, api_url, browser, installations)
            await adapter.close()
            await runner.cleanup()
    except EmulateMissing as missing:
        pytest.skip(str(missing))
    finally:
        await engine.dispose()


async def test_a_person_installs_the_app_and_its_token_works(installing: Installing) -> None:
    status, text = await installing.agree()
    assert (status, "Acme &amp; Sons" in text) == (200, True), text
    (stored,) = await installing.installations.all()
    assert (stored.name, set(stored.scopes)) == (WORKSPACE, set(SCOPES))
    assert stored.team_id in text
    me = await SlackApi(make_client(installing.api_url, stored.token)).call("auth.test", {})
    assert (me["team_id"], me["user_id"]) == (stored.team_id, stored.bot_user_id)


async def test_installing_again_replaces_the_token(installing: Installing) -> None:
    await installing.agree()
    (first,) = await installing.installations.all()
    assert (await installing.agree())[0] == 200
    (second,) = await installing.installations.all()
    assert second.token != first.token
    assert second.team_id == first.team_id


async def test_a_code_that_another_browser_brings_is_refused(installing: Installing) -> None:
    action, fields = await installing.consent()
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as another, another.post(action, data=fields) as response:
        assert response.status == 400
    assert await installing.installations.all() == []
