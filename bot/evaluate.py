"""`promptai evaluate`: builds corpus and models for `pipeline.evaluation` and shows what comes out."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bot.adapters import calibrations_of
from bot.answering import answering_options
from bot.app import open_core
from bot.embedding import open_reranker
from bot.parts import model_host, open_served, who_serves
from bot.promotion import Serving
from bot.settings import BotSettings
from pipeline.errors import EvaluationError
from pipeline.evaluation.arms import Arm
from pipeline.evaluation.cases import Case
from pipeline.evaluation.corpus import Corpus, SyncedCorpus, read_corpus
from pipeline.evaluation.markdown import markdown
from pipeline.evaluation.session import REPORT, Models, Plan, arms_of, cases_of, evaluate, needs_model
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.llm import BASE, ChatModel, ModelHost
from pipeline.llm.tgi import ModelServer
from pipeline.settings import PipelineSettings

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What the command was given besides the plan."""

    plan: Plan
    corpus: Path | None
    """A folder or JSON lines; None: what has been synced."""
    judge: str | None
    """The model that judges."""
    as_json: bool


async def run(request: Request, bot: BotSettings, settings: PipelineSettings) -> None:
    """Run the plan, print the report. Raises `EvaluationError` before anything slow where the input is wrong."""
    plan = request.plan
    cases = await asyncio.to_thread(cases_of, plan)
    arms = arms_of(plan, cases)
    if not arms:
        raise EvaluationError("There is nothing to run: name arms with --arm.")
    serving = await who_serves(settings)
    async with AsyncExitStack() as stack:
        corpus, embedder = await stack.enter_async_context(
            open_corpus(request.corpus, request.plan.tenant, bot, settings)
        )
        models = None
        if needs_model(plan, arms) or request.judge:
            models = await stack.enter_async_context(_models(request, settings, serving))
        options = answering_options(settings, serving, corpus.tuning.thresholds)
        with progress_bar(quiet=request.as_json) as bar:
            task = bar.add_task("", total=None)
            report = await evaluate(
                plan, cases, arms, corpus=corpus, models=models, options=options,
                about=_about(request, cases, arms, settings, embedder, models),
                progress=lambda done, total, what: bar.update(task, completed=done, total=total, description=what[:40]),
            )  # fmt: skip
    if request.as_json:
        print(REPORT.dump_json(report).decode())
        return
    out.print(Markdown(markdown(report)))
    out.print(f"\n{plan.out / 'report.html'} (and report.md, report.json)", soft_wrap=True)


@asynccontextmanager
async def open_corpus(
    source: Path | None, tenant: str, bot: BotSettings, settings: PipelineSettings
) -> AsyncIterator[tuple[Corpus, CachingEmbedder]]:
    """`source`: a folder or JSON lines; None: what has been synced for `tenant`."""
    cache = settings.data_dir / "evaluation" / "vectors"
    async with AsyncExitStack() as stack:
        if source is None:
            core = await stack.enter_async_context(open_core(bot, settings))
            embedder = CachingEmbedder(core.embedder, cache)
            stack.callback(embedder.save)
            tuning = core.embedding.tuning(settings, core.reranker)
            synced = await SyncedCorpus.open(core.catalog, embedder, core.vectors, core.keywords, tenant, tuning)
            yield synced, embedder
            return
        embedding, reranker = await open_served(settings), open_reranker(settings)
        stack.push_async_callback(embedding.close)
        if reranker is not None:
            stack.push_async_callback(reranker.close)
        embedder = CachingEmbedder(embedding.embedder, cache)
        stack.callback(embedder.save)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        err.print(f"[dim]Reading and embedding {source} …[/]")
        read = await read_corpus(source, embedder, folder, embedding.tuning(settings, reranker))
        embedder.save()
        yield read, embedder


@asynccontextmanager
async def _models(request: Request, settings: PipelineSettings, serving: Serving) -> AsyncIterator[Models]:
    async with AsyncExitStack() as stack:
        host = model_host(settings)
        stack.push_async_callback(host.close)
        await host.start()
        answerers: dict[str, ChatModel] = {"": host.model(serving.answer)}
        for name in request.plan.models:
            answerers[name] = await _served(name, host, stack)
        judge = await _served(request.judge, host, stack) if request.judge else None
        calibrations = calibrations_of(settings, serving.draft)
        yield Models(answerers, host.model(serving.draft), host.model(BASE), judge, calibrations)


async def _served(name: str, host: ModelHost, stack: AsyncExitStack) -> ChatModel:
    """`NAME` on the configured server, or `NAME=URL` on another."""
    model, _, url = name.partition("=")
    if not url:
        return host.model(model)
    if not url.startswith(("http://", "https://")):
        raise EvaluationError(f"{name}: give a model as NAME, or as NAME=http://host:port.")
    other = ModelServer(url.rstrip("/").removesuffix("/v1"))
    stack.push_async_callback(other.close)
    return other.model(model)


def _about(
    request: Request,
    cases: Sequence[Case],
    arms: Sequence[Arm],
    settings: PipelineSettings,
    embedder: CachingEmbedder,
    models: Models | None,
) -> dict[str, str]:
    plan = request.plan
    drafted = sorted({arm.replay for arm in arms if arm.replay})
    return {
        "questions": f"{plan.questions.name}, {len(cases)}"
        + (f", a sample (--sample {plan.size})" if plan.size else ""),
        "corpus": request.corpus.name if request.corpus else f"synced, tenant {plan.tenant}",
        "embedder": embedder.fingerprint,
        "reranker": settings.reranker or "none",
        "drafts": f"replayed: {', '.join(drafted)}" if drafted else "written by the drafter" if models else "none",
        "models": ", ".join(dict.fromkeys(models.names)) if models else "none: retrieval only",
        "follow-ups": "rewritten by the model" if models and not plan.retrieval_only else "behind the question before",
        "date": datetime.now(UTC).date().isoformat(),
    }


def progress_bar(*, quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=err, transient=True, disable=quiet)
