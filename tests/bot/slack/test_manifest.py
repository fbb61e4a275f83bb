"""`manifests/slack.yaml` asks for what the code uses: no event, no scope more or less."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from bot.slack import EVENTS, SCOPES, build_app
from bot.slack.api import SlackApi, make_client
from bot.slack.commands import COMMAND, SHORTCUT
from bot.slack.identity import Introduction
from bot.slack.oauth import REDIRECT_PATH
from bot.slack.workspaces import SingleWorkspace
from tests.fakes.slack_api import FakeSlack
from tests.fakes.slack_bot import memory_parts, slack_settings
from tests.fakes.teams_store import memory_conversation

ROOT = Path(__file__).parents[3]
PATH = ROOT / "manifests" / "slack.yaml"

NEEDED = {
    "app_mention": "app_mentions:read",
    "message.im": "im:history",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.mpim": "mpim:history",
    "reaction_added": "reactions:read",
    "reaction_removed": "reactions:read",
    "app_home_opened": None,
    "app_uninstalled": None,
    "tokens_revoked": None,
}
"""Event -> the scope without which Slack does not send it; some need none."""

METHODS = {
    "auth.test": set(),
    "oauth.v2.access": set(),  # the app's id and secret
    "apps.connections.open": set(),  # the app token's own scope
    "chat.postMessage": {"chat:write"},
    "chat.update": {"chat:write"},
    "chat.postEphemeral": {"chat:write"},
    "chat.startStream": {"chat:write"},
    "chat.appendStream": {"chat:write"},
    "chat.stopStream": {"chat:write"},
    "assistant.threads.setStatus": {"chat:write"},
    "assistant.threads.setSuggestedPrompts": {"assistant:write"},
    "chat.getPermalink": set(),
    "files.info": {"files:read"},
    "usergroups.users.list": {"usergroups:read"},
    "views.open": set(),
    "views.publish": set(),
    "conversations.info": {"channels:read", "groups:read"},
    "conversations.replies": {"channels:history", "groups:history", "im:history", "mpim:history"},
}
"""Web API method -> the bot's scopes for it."""


@pytest.fixture
def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(PATH.read_text())
    return loaded


async def test_the_events_are_those_that_the_code_listens_to(manifest: dict[str, Any]) -> None:
    events = manifest["settings"]["event_subscriptions"]["bot_events"]
    assert sorted({event.split(".")[0] for event in events}) == sorted(EVENTS)

    async with FakeSlack() as slack:
        api = SlackApi(make_client(slack.url, None))
        workspaces = SingleWorkspace(Introduction(api), api, memory_parts().tenant_of)
        app = build_app(memory_conversation()[0], slack_settings(slack), workspaces, memory_parts())
    # Besides: thumbs, four buttons, two dialogs, a command, a shortcut, and two that acknowledge the rest.
    assert len(app._async_listeners) == len(EVENTS) + 11
    assert [c["command"] for c in manifest["features"]["slash_commands"]] == [COMMAND]
    assert [s["callback_id"] for s in manifest["features"]["shortcuts"]] == [SHORTCUT]


def test_the_scopes_are_those_that_events_and_methods_need(manifest: dict[str, Any]) -> None:
    scopes = manifest["oauth_config"]["scopes"]["bot"]
    events = manifest["settings"]["event_subscriptions"]["bot_events"]
    code = "".join(path.read_text() for path in (ROOT / "bot" / "slack").glob("*.py"))
    called = set(
        re.findall(
            r'"((?:auth|apps|assistant|chat|conversations|files|oauth|usergroups|users|views)\.[a-zA-Z0-9.]+)"', code
        )
    )
    assert called == METHODS.keys()
    assert set(scopes) == {NEEDED[event] for event in events if NEEDED[event]}.union(*METHODS.values(), {"commands"})
    assert sorted(scopes) == sorted(SCOPES)


def test_every_scope_says_why(manifest: dict[str, Any]) -> None:
    for scope in manifest["oauth_config"]["scopes"]["bot"]:
        assert re.search(rf"- {scope} # \w", PATH.read_text()), scope


def test_the_page_for_admins_explains_every_scope() -> None:
    page = (ROOT / "docs" / "slack.md").read_text()
    assert re.findall(r"^\| `([a-z_.:]+)` \|", page, re.MULTILINE) == list(SCOPES)


def test_direct_messages_and_buttons_work(manifest: dict[str, Any]) -> None:
    home = manifest["features"]["app_home"]
    assert (home["messages_tab_enabled"], home["messages_tab_read_only_enabled"]) == (True, False)
    assert manifest["settings"]["interactivity"]["is_enabled"] is True


def test_socket_mode_needs_no_addresses_and_http_finds_them_commented_out(manifest: dict[str, Any]) -> None:
    assert manifest["settings"]["socket_mode_enabled"] is True
    assert "request_url" not in manifest["settings"]["event_subscriptions"]
    uncommented = yaml.safe_load(re.sub(r"# (request_url)", r"\1", PATH.read_text()))
    for part in ("event_subscriptions", "interactivity"):
        assert uncommented["settings"][part]["request_url"].endswith("/slack/events")


def test_the_address_that_oauth_sends_people_back_to_is_one_that_is_served(manifest: dict[str, Any]) -> None:
    uncommented = yaml.safe_load(re.sub(r"# (redirect_urls|  - https)", r"\1", PATH.read_text()))
    (address,) = uncommented["oauth_config"]["redirect_urls"]
    assert urlsplit(address).path == REDIRECT_PATH


def test_it_stays_within_slack_s_lengths(manifest: dict[str, Any]) -> None:
    shown = manifest["display_information"]
    assert len(shown["name"]) <= 35
    assert len(shown["description"]) <= 140
    assert 174 <= len(shown["long_description"]) <= 4_000
    assert len(manifest["features"]["bot_user"]["display_name"]) <= 80
