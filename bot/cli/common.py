"""What every command needs: settings, errors as one line, work done here or in the process that owns the data folder."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from bot.errors import BotError, SettingsError
from bot.logs import configure_logs
from bot.settings import TENANT_PATTERN, BotSettings, load_settings
from pipeline.errors import DataDirectoryBusy, PipelineError
from pipeline.settings import PipelineSettings

T = TypeVar("T")

err = Console(stderr=True, highlight=False)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def checked_tenant(name: str) -> str:
    """The name of a tenant as the settings allow it; stops the program otherwise."""
    if not re.fullmatch(TENANT_PATTERN, name):
        fail(f"--tenant {name!r}: a tenant's name has a-z, 0-9 and -, at most 63 characters.")
    return name


def secrets_of(bot: BotSettings, settings: PipelineSettings) -> list[str]:
    """Every secret setting's value, for the logs to blank out."""
    values = [*bot.model_dump().values(), *settings.model_dump().values()]
    return [value.get_secret_value() for value in values if hasattr(value, "get_secret_value")]


async def command(
    bot: BotSettings, settings: PipelineSettings, name: str, params: Mapping[str, Any]
) -> AsyncGenerator[dict[str, Any], None]:
    """Run a command here, or in the process that owns the data folder."""
    from bot.app import open_core
    from bot.commands import run_command
    from bot.control import SOCKET_FILE, call

    try:
        async with open_core(bot, settings) as core, aclosing(run_command(core, name, params)) as events:
            async for event in events:
                yield event
        return
    except DataDirectoryBusy:
        if not (settings.data_dir / SOCKET_FILE).exists():
            raise
    async with aclosing(call(settings.data_dir, name, params)) as events:
        async for event in events:
            yield event


def read_settings() -> tuple[BotSettings, PipelineSettings]:
    """The settings; a wrong one stops the program."""
    try:
        return load_settings()
    except SettingsError as error:
        fail(str(error))


async def with_settings(work: Callable[[BotSettings, PipelineSettings], Awaitable[None]]) -> None:
    """Run `work` with the settings; the log then says what is wrong and no more."""
    bot, settings = read_settings()
    configure_logs("ERROR" if bot.log_level == "INFO" else bot.log_level, secrets_of(bot, settings))
    await work(bot, settings)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; errors of ours become one line and exit status 1, Ctrl-C is no error to report."""
    try:
        return asyncio.run(work)
    except (BotError, PipelineError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def fail(message: str) -> NoReturn:
    """One line on the standard error, exit status 1."""
    err.print(f"[bold red]Error:[/] {escape(message)}", soft_wrap=True)
    raise SystemExit(1)
