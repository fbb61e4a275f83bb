"""`promptai serve` and `promptai migrate`."""

from __future__ import annotations

import json

from bot.cli import app
from bot.cli.common import Json, read_settings, run, secrets_of, with_settings
from bot.logs import configure_logs
from bot.settings import BotSettings
from pipeline.settings import PipelineSettings


@app.command()
def serve() -> None:
    """Run the bot: every platform that has its secrets, the web console and `/metrics`.

    Webhooks listen on PROMPTAI_HOST:PROMPTAI_PORT (`/slack/events`, `/api/messages`, `/healthz`, `/readyz`), the console
    on PROMPTAI_CONSOLE_HOST:PROMPTAI_CONSOLE_PORT. Ctrl-C stops it; questions that are being answered then go on after
    the next start.
    """
    bot, settings = read_settings()
    configure_logs(bot.log_level, secrets_of(bot, settings))
    from bot import startup  # a wrong setting is told at once, before seconds of imports

    run(startup.run(bot, settings))


@app.command()
def migrate(as_json: Json = False) -> None:
    """Bring the database's tables up to date. Safe to repeat; run it before each new version (SQLite: automatic)."""
    from bot.store import database_url, open_engine
    from bot.store import migrate as upgrade

    async def work(_bot: BotSettings, settings: PipelineSettings) -> None:
        secret = settings.database_url
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = open_engine(database_url(secret.get_secret_value() if secret else None, settings.data_dir))
        try:
            before, now = await upgrade(engine)
        finally:
            await engine.dispose()
        if as_json:
            print(json.dumps({"before": before, "now": now}))
        else:
            print(
                f"Tables are up to date ({now})." if before == now else f"Tables upgraded: {before or 'none'} -> {now}."
            )

    run(with_settings(work))
