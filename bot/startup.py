"""What a person sees when `promptai serve` starts."""

from __future__ import annotations

import re

import structlog
from rich.console import Console

from bot.app import Core, open_core
from bot.embedding import IndexCheck
from bot.serve import serve
from bot.settings import BotSettings
from pipeline.errors import IndexUnavailable
from pipeline.knowledge.embedders import Embedders
from pipeline.settings import PipelineSettings

log = structlog.get_logger(__name__)
console = Console(stderr=True, highlight=False, soft_wrap=True)


async def run(bot: BotSettings, settings: PipelineSettings) -> None:
    """Build everything, say what is on and where, serve until told to stop."""
    console.print("Starting …" if settings.model_url else "Starting, with the embedded model …")
    async with open_core(bot, settings) as core:
        for line in await embedder_lines(core):
            console.print(line, markup=False)
        await serve(core, ready=lambda webhooks, console_url: _say_ready(core, webhooks, console_url))
    console.print("Stopped.")


def _say_ready(core: Core, webhooks: str | None, console_url: str) -> None:
    for line in ready_lines(core.bot, core.settings, webhooks, console_url):
        console.print(line, markup=False)
    log.info("ready", webhooks=webhooks, console=console_url)


async def embedder_lines(core: Core) -> list[str]:
    """What is to be known of the embedder: that another one than EMBEDDING_MODEL was promoted, or that none wrote the index."""
    lines = []
    if await Embedders(core.engine).serving() is not None:
        lines.append(f"Embedder: {core.embedding.fingerprint}, promoted; EMBEDDING_MODEL is not used.")
    try:
        await IndexCheck(core).check()
    except IndexUnavailable as error:
        log.error("index_of_another_embedder", error=str(error))
        lines.append(f"WARNING: {error}")
    return lines


def ready_lines(bot: BotSettings, settings: PipelineSettings, webhooks: str | None, console_url: str) -> list[str]:
    """Which platforms are on, what answers, where the data is, and what to do next. Pure."""
    if not bot.slack_enabled:
        slack = "off (set SLACK_BOT_TOKEN and SLACK_APP_TOKEN or SLACK_SIGNING_SECRET)"
    elif bot.slack_app_token:
        slack = "on, Socket Mode"
    else:
        slack = f"on, events at {webhooks}/slack/events"
    if bot.slack_client_id and bot.public_url:
        slack += f"; installed at {bot.public_url.rstrip('/')}/slack/install"
    if not bot.teams_enabled:
        teams = "off (set MICROSOFT_APP_ID, MICROSOFT_APP_PASSWORD and MICROSOFT_APP_TENANT_ID)"
    else:
        teams = f"on, messages at {webhooks}/api/messages"
        if bot.teams_unsigned:
            teams += " — UNSIGNED: anybody on this machine may post"
    database = (
        "PostgreSQL"
        if settings.database_url
        else f"SQLite in {settings.data_dir}/ (several machines need DATABASE_URL)"
    )
    return [
        f"  Slack     {slack}",
        f"  Teams     {teams}",
        f"  Model     {_shown(settings.model_url) or 'embedded SmolLM2-135M (small: good for a try, not for customers)'}",
        f"  Documents {_shown(settings.chroma_url) or f'Chroma in {settings.data_dir}/chroma'}",
        f"  Database  {database}",
        f"  Metrics   {console_url}/metrics",
        "",
        f"Open {console_url} and ask something. Ctrl-C stops.",
    ]


def _shown(url: str | None) -> str | None:
    """A URL without user and password."""
    return url and re.sub(r"//[^/@]*@", "//", url)
