"""`promptai adapter …`."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli import app
from bot.cli.common import Json, err, fail, run, with_settings

if TYPE_CHECKING:
    from bot.settings import BotSettings
    from pipeline.settings import PipelineSettings

adapter_app = typer.Typer(no_args_is_help=True, help="Fine-tuned adapters: whether they are served, and which one is.")
app.add_typer(adapter_app, name="adapter")


@adapter_app.command()
def check(
    name: Annotated[list[str] | None, typer.Argument(help="Adapters. Default: all that the settings name.")] = None,
    as_json: Json = False,
) -> None:
    """Prove that the model server serves an adapter: TGI answers with its base, without a word, where it does not.

    Example: PROMPTAI_ADAPTERS=docs=adapters/docs promptai adapter check docs
    """

    async def work(_bot: BotSettings, settings: PipelineSettings) -> None:
        from bot.adapters import check_adapter
        from bot.parts import model_host, who_serves
        from pipeline.llm import BASE
        from pipeline.training.serving import Verdict

        now = await who_serves(settings)
        configured = [*settings.adapter_folders, now.draft, now.answer]
        names = [n for n in dict.fromkeys(name or configured) if n != BASE]
        if not names:
            fail("No adapter to check: name one, or set DRAFT_MODEL, ANSWER_MODEL or PROMPTAI_ADAPTERS.")
        async with AsyncExitStack() as stack:
            host = model_host(settings)
            stack.push_async_callback(host.close)
            await host.start()
            found = [await check_adapter(host, settings, n) for n in names]
        if as_json:
            print(json.dumps([asdict(served) | {"advice": served.advice} for served in found]))
        else:
            for served in found:
                err.print(f"{served.adapter}: {served.verdict.value}. {served.advice}", soft_wrap=True, markup=False)
        if any(served.verdict is not Verdict.SERVED for served in found):
            raise SystemExit(1)

    run(with_settings(work))


@adapter_app.command()
def calibrate(
    name: Annotated[str, typer.Argument(help="The adapter; PROMPTAI_ADAPTERS says where it lies.")],
    data: Annotated[Path, typer.Option(help="The folder that `promptai synthesize` wrote: its held-out questions.")],
    as_json: Json = False,
) -> None:
    """Measure how often an adapter's drafts are right, so that it is believed as far as that and no further.

    Example: PROMPTAI_ADAPTERS=docs=adapters/docs promptai adapter calibrate docs --data training/docs
    """

    async def work(_bot: BotSettings, settings: PipelineSettings) -> None:
        from rich.progress import Progress

        from bot.adapters import calibrate_adapter
        from bot.parts import model_host

        async with AsyncExitStack() as stack:
            host = model_host(settings)
            stack.push_async_callback(host.close)
            await host.start()
            bar = stack.enter_context(Progress(console=err, transient=True, disable=as_json))
            task = bar.add_task("drafting", total=None)
            found = await calibrate_adapter(
                host,
                settings,
                name,
                data / "held-out.jsonl",
                lambda done, total: bar.update(task, completed=done, total=total),
            )
        if as_json:
            print(json.dumps(asdict(found)))
            return
        err.print(f"{name}: {found.right:.0%} of {found.questions} drafts begin with the right page.", markup=False)
        if found.failed:
            err.print(
                f"  {found.failed} more questions got no draft, asked twice: see the model server's log.", markup=False
            )
        for what, points in (("title", found.title), ("line", found.line)):
            for probability, right in points:
                err.print(f"  {what} of probability {probability:.2f}: right in {right:.0%}", markup=False)

    run(with_settings(work))
