"""What every command of `promptai` does around its own work: read the settings, set up the logs, tell errors plainly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar

from rich.console import Console
from rich.markup import escape

from bot.errors import BotError, SettingsError
from bot.logs import configure_logs
from bot.settings import BotSettings, load_settings
from pipeline.errors import PipelineError
from pipeline.settings import PipelineSettings

T = TypeVar("T")

err = Console(stderr=True, highlight=False)


def secrets_of(bot: BotSettings, settings: PipelineSettings) -> list[str]:
    """Every secret setting's value, for the logs to blank out."""
    values = [*bot.model_dump().values(), *settings.model_dump().values()]
    return [value.get_secret_value() for value in values if hasattr(value, "get_secret_value")]


def read_settings() -> tuple[BotSettings, PipelineSettings]:
    """The settings; a wrong one stops the program."""
    try:
        return load_settings()
    except SettingsError as error:
        fail(str(error))


async def with_settings(work: Callable[[BotSettings, PipelineSettings], Awaitable[None]]) -> None:
    """Do `work` with few logs: a command's output is for the person who typed it."""
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
    """End with exit status 1 and one line."""
    err.print(f"[bold red]Error:[/] {escape(message)}", soft_wrap=True)
    raise SystemExit(1)
