"""`promptai keys …`."""

from __future__ import annotations

import typer

from bot.cli import app
from bot.cli.common import err, fail, run, with_settings
from bot.settings import BotSettings
from pipeline.settings import PipelineSettings

keys_app = typer.Typer(
    no_args_is_help=True, help="The keys that encrypt workspaces' tokens (PROMPTAI_ENCRYPTION_KEYS)."
)
app.add_typer(keys_app, name="keys")


@keys_app.command("new")
def new() -> None:
    """Print a new key. To replace the old one: put the new one in front of it, restart, `keys rotate`, drop the old one."""
    from bot.store import new_key

    print(new_key())


@keys_app.command("rotate")
def rotate() -> None:
    """Encrypt every stored token with the first key. Safe to repeat, and while `serve` runs."""
    from bot.parts import open_store
    from bot.store import Cipher, SqlInstallations

    async def work(bot: BotSettings, settings: PipelineSettings) -> None:
        if bot.encryption_keys is None:
            fail("PROMPTAI_ENCRYPTION_KEYS is not set: there is nothing to rotate.")
        cipher = Cipher(bot.encryption_keys.get_secret_value())
        async with open_store(settings) as (engine, _store):
            renewed = await SqlInstallations(engine, cipher).renew_tokens()
        err.print(f"{renewed} tokens are encrypted with the first key.")

    run(with_settings(work))
