"""Settings: half-configured platforms are refused by name; the pages follow from the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import settings_page
from bot.errors import SettingsError
from bot.settings import BotSettings, check_settings, is_loopback, load_settings

ROOT = Path(__file__).parents[2]


def bot(**values: str) -> BotSettings:
    return BotSettings(_env_file=None, **values)  # type: ignore[call-arg,arg-type]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for _, fields in settings_page.settings():
        for field in fields:
            monkeypatch.delenv(str(field.alias), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"SLACK_APP_TOKEN": "xapp-1"}, "SLACK_BOT_TOKEN"),
        ({"SLACK_CLIENT_ID": "1.2"}, "SLACK_CLIENT_SECRET, PROMPTAI_PUBLIC_URL, PROMPTAI_ENCRYPTION_KEYS"),
        ({"SLACK_CLIENT_ID": "1.2", "SLACK_BOT_TOKEN": "xoxb-1"}, "unset one"),
        ({"SLACK_SIGNING_SECRET": "s"}, "SLACK_BOT_TOKEN"),
        ({"SLACK_BOT_TOKEN": "xoxb-1"}, "SLACK_SIGNING_SECRET"),
        ({"MICROSOFT_APP_PASSWORD": "p"}, "MICROSOFT_APP_ID"),
        ({"MICROSOFT_APP_ID": "i"}, "MICROSOFT_APP_PASSWORD"),
        ({"MICROSOFT_APP_ID": "i", "MICROSOFT_APP_PASSWORD": "p"}, "MICROSOFT_APP_TENANT_ID"),
        ({"PROMPTAI_TEAMS_UNSIGNED": "1", "PROMPTAI_HOST": "0.0.0.0"}, "PROMPTAI_TEAMS_UNSIGNED"),
        ({"PROMPTAI_CONSOLE_HOST": "0.0.0.0"}, "PROMPTAI_CONSOLE_HOST"),
        ({"MICROSOFT_APP_TENANT_ID": "t"}, "MICROSOFT_APP_ID"),
        (
            {
                "PROMPTAI_TEAMS_UNSIGNED": "1",
                "MICROSOFT_APP_ID": "i",
                "MICROSOFT_APP_PASSWORD": "p",
                "MICROSOFT_APP_TENANT_ID": "t",
            },
            "PROMPTAI_TEAMS_UNSIGNED",
        ),
    ],
)
def test_half_a_platform_is_an_error_that_names_what_is_missing(values: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        check_settings(bot(**values))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1"},
        {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "s"},
        {"MICROSOFT_APP_ID": "i", "MICROSOFT_APP_PASSWORD": "p", "MICROSOFT_APP_TENANT_ID": "t"},
        {"MICROSOFT_APP_ID": "i", "MICROSOFT_APP_PASSWORD": "p", "MICROSOFT_APP_TYPE": "MultiTenant"},
        {"PROMPTAI_TEAMS_UNSIGNED": "1"},
    ],
)
def test_a_whole_platform_or_none_is_accepted(values: dict[str, str]) -> None:
    check_settings(bot(**values))


def test_a_wrong_value_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_URL", "s3cret-not-a-url")
    monkeypatch.setenv("PROMPTAI_PORT", "99999")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "PROMPTAI_PORT" in str(caught.value) or "MODEL_URL" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "")
    assert not load_settings()[0].slack_enabled


def test_a_model_url_is_taken_with_and_without_v1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_URL", "http://tgi:8080/v1/")
    assert load_settings()[1].model_url == "http://tgi:8080"


def test_dotenv_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PROMPTAI_TENANT=acme\n")
    assert load_settings()[0].tenant == "acme"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("x.org", False),
    ],
)
def test_loopback_is_recognised(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_settings_page_follows_from_the_code() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page.page()


def test_the_example_environment_follows_from_the_code() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == settings_page.example()
