"""What a person sees while a model writes training data: how far it is, how fast, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.training.synthesis.costs import Forecast, Prices, Usage

err = Console(stderr=True, highlight=False)


@contextmanager
def progress(prices: Prices, *, quiet: bool) -> Iterator[Callable[[Usage, int, int], None]]:
    """A bar on the standard error; yields what `Asker` calls."""
    columns = (
        TextColumn("asking"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(*columns, console=err, transient=True, disable=quiet) as bar:
        task = bar.add_task("", total=None, told="")
        began = time.monotonic()

        def show(usage: Usage, done: int, total: int) -> None:
            seconds = max(time.monotonic() - began, 1e-3)
            told = f"{usage.tokens_out:,} tokens written, {usage.tokens_out / seconds:.0f}/s{cost(prices, usage.tokens_in, usage.tokens_out)}"
            bar.update(task, completed=done, total=total, told=told)

        yield show


def expected(forecast: Forecast, prices: Prices, model: str) -> str:
    """One line before it begins."""
    return (
        f"At most {forecast.calls:,} calls of {model}: about {forecast.tokens_in:,} tokens in, at most "
        f"{forecast.tokens_out:,} out{cost(prices, forecast.tokens_in, forecast.tokens_out)}. Ctrl-C loses nothing that was written."
    )


def used(usage: Usage, prices: Prices, seconds: float, model: str) -> dict[str, Any]:
    """What the manifest says of the generator."""
    told: dict[str, Any] = {
        "model": model,
        "calls": usage.calls,
        "from the journal": usage.kept,
        "left out by --limit-calls": usage.left,
        "tokens in (estimated)": usage.tokens_in,
        "tokens out (estimated)": usage.tokens_out,
        "seconds": round(seconds, 1),
        "tokens out per second": round(usage.tokens_out / seconds, 1) if seconds else 0.0,
        "cost": round(prices.cost(usage.tokens_in, usage.tokens_out), 2),
    }
    return told | {f"completions {name}": count for name, count in sorted(usage.troubles.items()) if count}


def cost(prices: Prices, tokens_in: int, tokens_out: int) -> str:
    """`, cost 1.20`; nothing where no price was given."""
    known = prices.tokens_in or prices.tokens_out
    return f", cost {prices.cost(tokens_in, tokens_out):,.2f}" if known else ""
