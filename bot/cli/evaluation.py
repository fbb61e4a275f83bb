"""The options of `promptai evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli import app
from bot.cli.common import Json, run, with_settings

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from bot.settings import BotSettings
    from pipeline.evaluation.session import Plan
    from pipeline.settings import PipelineSettings

Questions = Annotated[Path, typer.Option("--questions", "-q", help="JSON lines: id, question, gold_pages, …")]
Corpus = Annotated[
    Path | None, typer.Option(help="A folder, or JSON lines of sections, instead of what has been synced.")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for records and reports; a second run goes on there.")]
Arms = Annotated[list[str] | None, typer.Option("--arm", "-a", help="Only these arms; repeat it.")]
Split = Annotated[str | None, typer.Option(help="Only questions of this split.")]
Size = Annotated[int | None, typer.Option("--sample", min=1, help="At most so many questions, of all kinds.")]
AtOnce = Annotated[int, typer.Option("--concurrency", min=1, help="Cases in flight: more for a real model server.")]
Fresh = Annotated[bool, typer.Option(help="Forget an earlier run in the same folder.")]
Judge = Annotated[str | None, typer.Option(help="Let this model score answers: NAME, or NAME=http://host:port.")]
Tenant = Annotated[str | None, typer.Option(help="Whose documents to look in. Default: PROMPTAI_TENANT.")]

evaluate_app = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode="markdown",
    help="Compare ways to answer: cases x arms x metrics, as JSON, Markdown and a page with plots.",
)
app.add_typer(evaluate_app, name="evaluate")


@evaluate_app.callback()
def evaluate(
    context: typer.Context,
    questions: Questions = Path("questions.jsonl"),
    corpus: Corpus = None,
    drafts: Annotated[Path | None, typer.Option(help="Replay these drafts (JSON lines: id, draft, model).")] = None,
    arm: Arms = None,
    split: Split = None,
    size: Size = None,
    retrieval_only: Annotated[bool, typer.Option("--retrieval-only", help="Answer nothing: quick.")] = False,
    judge: Judge = None,
    at_once: AtOnce = 1,
    out: Out = Path("evaluation"),
    fresh: Fresh = False,
    tenant: Tenant = None,
    as_json: Json = False,
) -> None:
    """Compare RAG only, fine-tuned only and combined, with controls, on labelled questions.

    Example: promptai evaluate -q examples/streaming-qoe/questions.jsonl --corpus examples/streaming-qoe/docs --retrieval-only
    """
    if context.invoked_subcommand is not None:
        return
    from pipeline.evaluation.session import Plan  # seconds of imports, only where they are needed

    plan = Plan(
        questions, out, drafts=drafts, arms=tuple(arm or ()), split=split, size=size, retrieval_only=retrieval_only,
        at_once=at_once, fresh=fresh, tenant=tenant or "",
    )  # fmt: skip
    _start(plan, corpus, judge, as_json=as_json)


@evaluate_app.command()
def models(
    model: Annotated[list[str], typer.Option("--model", "-m", help="NAME, or NAME=http://host:port; repeat it.")],
    questions: Questions = Path("questions.jsonl"),
    corpus: Corpus = None,
    arm: Arms = None,
    split: Split = None,
    size: Size = None,
    judge: Judge = None,
    at_once: AtOnce = 1,
    out: Out = Path("evaluation-models"),
    fresh: Fresh = False,
    tenant: Tenant = None,
    as_json: Json = False,
) -> None:
    """Compare served models as answerers of the same cases, each with gold and with random passages too.

    Example: promptai evaluate models -m product -m tgi -m big=http://gpu2:8080 -q questions.jsonl
    """
    from pipeline.evaluation.session import Plan

    plan = Plan(
        questions, out, arms=tuple(arm or ()), split=split, size=size, at_once=at_once, fresh=fresh,
        tenant=tenant or "", models=tuple(model),
    )  # fmt: skip
    _start(plan, corpus, judge, as_json=as_json)


def _start(plan: Plan, corpus: Path | None, judge: str | None, *, as_json: bool) -> None:
    from dataclasses import replace

    from bot import evaluate as evaluation

    def work(bot: BotSettings, settings: PipelineSettings) -> Coroutine[None, None, None]:
        request = evaluation.Request(replace(plan, tenant=plan.tenant or bot.tenant), corpus, judge, as_json)
        return evaluation.run(request, bot, settings)

    run(with_settings(work))
