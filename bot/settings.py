"""The bot's settings, read once from the environment (and `.env`). Nothing else in this package reads it."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.errors import SettingsError
from pipeline.settings import PipelineSettings

TENANT_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"


def is_loopback(host: str) -> bool:
    """True for `localhost` and addresses of this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class BotSettings(BaseSettings):
    """Each field's description is its line in `docs/settings.md`; a test keeps the two equal."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True, populate_by_name=True
    )

    slack_bot_token: SecretStr | None = Field(
        None, alias="SLACK_BOT_TOKEN", description="`xoxb-…`; turns Slack on, with one of the next two."
    )
    slack_app_token: SecretStr | None = Field(
        None, alias="SLACK_APP_TOKEN", description="`xapp-…`; Socket Mode: no public address needed."
    )
    slack_signing_secret: SecretStr | None = Field(
        None, alias="SLACK_SIGNING_SECRET", description="Verifies events that Slack posts to `/slack/events`."
    )
    slack_client_id: str | None = Field(
        None,
        alias="SLACK_CLIENT_ID",
        description="Instead of a bot token: lets any workspace install the app at `/slack/install`, with the next three.",
    )
    slack_client_secret: SecretStr | None = Field(
        None, alias="SLACK_CLIENT_SECRET", description="The app's client secret."
    )
    slack_api_url: str = Field(
        "https://slack.com/api/", alias="SLACK_API_URL", description="Slack's Web API; another one for tests."
    )
    slack_admins: str = Field(
        "",
        alias="SLACK_ADMINS",
        description="User ids (`U…`), separated by commas, who see the settings in the app's home tab and change its channels' thread modes.",
    )
    slack_threads: str = Field(
        "follow-ups",
        alias="PROMPTAI_SLACK_THREADS",
        description="Which messages without a mention continue a thread: `follow-ups` of the person who asked, `always` or `mention` (none); `follow-ups,C0123=always` sets a channel apart. What admins set in the home tab comes first.",
    )
    slack_experts: str = Field(
        "",
        alias="SLACK_EXPERTS",
        description="Whose ratings count as experts': user ids (`U…`), user groups (`S…`) or home workspaces (`T…`), separated by commas.",
    )
    slack_humans: str = Field(
        "",
        alias="SLACK_HUMANS",
        description="Where `Ask a human` posts: a channel (`C…`), and after a space a user group (`S…`) to call there. The bot must be a member.",
    )
    slack_rate: Annotated[float, Field(gt=0)] = Field(
        1.0,
        alias="SLACK_RATE",
        description="Share of Slack's published rate limits to use: less where another program uses the same app.",
    )
    microsoft_app_id: str | None = Field(
        None, alias="MICROSOFT_APP_ID", description="The Azure Bot's app id; turns Teams on, with the next two."
    )
    microsoft_app_password: SecretStr | None = Field(
        None, alias="MICROSOFT_APP_PASSWORD", description="The Azure Bot's client secret."
    )
    microsoft_app_tenant_id: str | None = Field(
        None, alias="MICROSOFT_APP_TENANT_ID", description="The Entra tenant of a `SingleTenant` bot."
    )
    microsoft_app_type: Literal["SingleTenant", "MultiTenant"] = Field(
        "SingleTenant", alias="MICROSOFT_APP_TYPE", description="`SingleTenant` or `MultiTenant`."
    )
    teams_unsigned: bool = Field(
        False,
        alias="PROMPTAI_TEAMS_UNSIGNED",
        description="`1` accepts unsigned Teams activities, on a loopback address only: for the Agents Playground.",
    )
    tenant: Annotated[str, Field(pattern=TENANT_PATTERN)] = Field(
        "default", alias="PROMPTAI_TENANT", description="The tenant that questions belong to: `a-z`, `0-9`, `-`."
    )
    public_url: str | None = Field(
        None,
        alias="PROMPTAI_PUBLIC_URL",
        pattern=r"^https?://[^/?#\s]+/?$",
        description="Where people and Slack reach the webhooks' listener: `https://promptai.example.com`.",
    )
    encryption_keys: SecretStr | None = Field(
        None,
        alias="PROMPTAI_ENCRYPTION_KEYS",
        description="Keys for tokens at rest (`promptai keys new`), separated by commas: the first encrypts, all decrypt.",
    )
    host: str = Field("127.0.0.1", alias="PROMPTAI_HOST", description="Address of the webhooks' listener.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        3000, alias="PROMPTAI_PORT", description="Port of the webhooks' listener."
    )
    console_host: str = Field(
        "127.0.0.1",
        alias="PROMPTAI_CONSOLE_HOST",
        description="Address of the web console and `/metrics`; loopback only, since nobody signs in yet.",
    )
    console_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8080, alias="PROMPTAI_CONSOLE_PORT", description="Port of the web console and `/metrics`."
    )
    executor_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = Field(
        "promptai-0",
        alias="PROMPTAI_EXECUTOR_ID",
        description="This replica's stable name: it finishes what it had begun when it was killed.",
    )
    answer_timeout: Annotated[float, Field(gt=0)] = Field(
        180.0, alias="PROMPTAI_ANSWER_TIMEOUT", description="Seconds until a question gets an apology instead."
    )
    canary_seconds: Annotated[float, Field(gt=0)] = Field(
        300.0,
        alias="PROMPTAI_CANARY_SECONDS",
        description="Seconds between two checks that no tenant can find another one's documents.",
    )
    stale_notice: bool = Field(
        False,
        alias="PROMPTAI_STALE_NOTICE",
        description="1: say in the thread (Slack, Teams) that a source of an answer has changed since, once, for 30 days.",
    )
    example_questions: str = Field(
        "",
        alias="PROMPTAI_EXAMPLE_QUESTIONS",
        description="Questions that the console's empty page and the welcome in Teams offer, separated by `|`.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", alias="PROMPTAI_LOG_LEVEL", description="`DEBUG`, `INFO`, `WARNING` or `ERROR`."
    )

    @property
    def suggestions(self) -> tuple[str, ...]:
        """`example_questions` one by one."""
        return tuple(q.strip() for q in self.example_questions.split("|") if q.strip())

    @property
    def slack_admin_ids(self) -> frozenset[str]:
        """`slack_admins` one by one."""
        return frozenset(user.strip() for user in self.slack_admins.split(",") if user.strip())

    @property
    def slack_expert_ids(self) -> frozenset[str]:
        """`slack_experts` one by one."""
        return frozenset(item.strip() for item in self.slack_experts.split(",") if item.strip())

    @property
    def slack_humans_channel(self) -> str:
        return self.slack_humans.split(" ")[0]

    @property
    def slack_humans_group(self) -> str:
        return self.slack_humans.partition(" ")[2].strip()

    @property
    def slack_enabled(self) -> bool:
        return self.slack_bot_token is not None or self.slack_client_id is not None

    @property
    def teams_enabled(self) -> bool:
        return self.microsoft_app_id is not None or self.teams_unsigned


def load_settings() -> tuple[BotSettings, PipelineSettings]:
    """Read and check all settings. Raises `SettingsError` naming the variable before anything connects."""
    try:
        bot, pipeline = BotSettings(), PipelineSettings()
    except ValidationError as exc:
        raise SettingsError(_explain(exc)) from exc
    check_settings(bot)
    return bot, pipeline


def check_settings(bot: BotSettings) -> None:
    """Refuse half-configured platforms. Raises `SettingsError`."""
    slack_secrets = bot.slack_app_token or bot.slack_signing_secret
    if bot.slack_client_id or bot.slack_client_secret:
        _check_installing(bot)
    if slack_secrets and not bot.slack_enabled:
        raise SettingsError("Slack is half configured: set SLACK_BOT_TOKEN too (OAuth & Permissions page of the app).")
    if bot.slack_enabled and not slack_secrets:
        raise SettingsError(
            "Slack is half configured: set SLACK_SIGNING_SECRET (events by HTTP) or SLACK_APP_TOKEN (Socket Mode)."
        )
    if (bot.microsoft_app_password or bot.microsoft_app_tenant_id) and not bot.microsoft_app_id:
        raise SettingsError("Teams is half configured: set MICROSOFT_APP_ID too.")
    if bot.microsoft_app_id and not bot.microsoft_app_password:
        raise SettingsError("Teams is half configured: set MICROSOFT_APP_PASSWORD too.")
    if bot.microsoft_app_id and bot.microsoft_app_type == "SingleTenant" and not bot.microsoft_app_tenant_id:
        raise SettingsError("Teams is half configured: a SingleTenant bot needs MICROSOFT_APP_TENANT_ID.")
    if bot.teams_unsigned and bot.microsoft_app_id:
        raise SettingsError(
            "PROMPTAI_TEAMS_UNSIGNED=1 accepts anybody's messages: unset it, or unset MICROSOFT_APP_ID to use the Playground."
        )
    if bot.teams_unsigned and not is_loopback(bot.host):
        raise SettingsError("PROMPTAI_TEAMS_UNSIGNED=1 accepts anybody's messages: it needs PROMPTAI_HOST=127.0.0.1.")
    if not is_loopback(bot.console_host):
        raise SettingsError(
            "PROMPTAI_CONSOLE_HOST must be a loopback address: nobody signs in to the console yet. "
            "Reach it from elsewhere through an SSH tunnel."
        )


def _check_installing(bot: BotSettings) -> None:
    if bot.slack_bot_token:
        raise SettingsError("SLACK_BOT_TOKEN is for one workspace, SLACK_CLIENT_ID for many: unset one of them.")
    needed = {
        "SLACK_CLIENT_ID": bot.slack_client_id,
        "SLACK_CLIENT_SECRET": bot.slack_client_secret,
        "PROMPTAI_PUBLIC_URL": bot.public_url,
        "PROMPTAI_ENCRYPTION_KEYS": bot.encryption_keys,
    }
    if missing := [name for name, value in needed.items() if not value]:
        raise SettingsError(f"Slack is half configured: installing it in workspaces needs {', '.join(missing)} too.")


def _explain(exc: ValidationError) -> str:
    """One line a wrong variable, without its value: it may be a secret."""
    return "\n".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}." for e in exc.errors(include_input=False))
