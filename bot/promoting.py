"""`promptai adapter promote`: compares a candidate with what is in service, and leaves a record of what came out."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bot.adapters import calibrations_of, check_adapter
from bot.answering import answering_options
from bot.errors import PromotionError
from bot.evaluate import open_corpus, progress_bar
from bot.learned import not_looked_at
from bot.parts import model_host, open_store, who_serves
from bot.promotion import Outcome, Promotion, Serving
from bot.settings import BotSettings
from bot.store import SqlPromotions
from pipeline.evaluation.arms import BASELINE, Arm
from pipeline.evaluation.cases import Case
from pipeline.evaluation.drafts import Drafter
from pipeline.evaluation.promotion import CURRENT, Decision, arms_for, decide
from pipeline.evaluation.session import Models, Plan, cases_of, measure, write
from pipeline.llm import BASE, ChatModel, ModelHost
from pipeline.settings import PipelineSettings
from pipeline.training.adapter import Adapter, read_adapter
from pipeline.training.serving import Verdict
from pipeline.types import Role


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be promoted, and what it is judged by."""

    name: str
    role: Role
    plan: Plan
    """Held-out questions; `out` is set here."""
    corpus: Path | None
    """A folder or JSON lines; None: what has been synced."""
    data: tuple[Path, ...] = ()
    """What the adapter and those that it began as were trained on: questions that are in it judge nothing. Empty: not known
    here."""
    force: str = ""
    """Why to promote it whatever the comparison says; empty: only if it is better."""


async def promote(request: Request, bot: BotSettings, settings: PipelineSettings) -> tuple[Promotion, Decision]:
    """Compare, decide and record. Raises `PromotionError` where there is nothing to compare or nothing to compare by."""
    now = await who_serves(settings)
    if now.of(request.role) == request.name:
        raise PromotionError(f"{request.name} is in service for {request.role}s already.")
    cases = await asyncio.to_thread(cases_of, request.plan)
    adapter = await asyncio.to_thread(_adapter, settings, request.name)
    unknown = await asyncio.to_thread(
        not_looked_at, request.name, request.data, adapter, request.plan.questions.name, cases
    )
    decision = await _compared(request, cases, now, bot, settings, adapter)
    decision = replace(decision, notes=(*decision.notes, *unknown))
    outcome = Outcome.PROMOTED if decision.better else Outcome.FORCED if request.force else Outcome.REFUSED
    promotion = Promotion(
        role=request.role,
        adapter=request.name,
        outcome=outcome,
        replaces=now.of(request.role),
        reason={Outcome.PROMOTED: "", Outcome.FORCED: request.force}.get(outcome, " ".join(decision.reasons)),
        figures=asdict(decision) | {"questions": request.plan.questions.name, "cases": len(cases)},
        adapter_hash=adapter.hash if adapter else "",
        data_hash=str(adapter.manifest.get("data", "")) if adapter else "",
        decided_by=getpass.getuser(),
        decided_at=datetime.now(UTC),
    )
    async with open_store(settings) as (engine, _store):
        await SqlPromotions(engine).record(promotion)
    return promotion, decision


def _adapter(settings: PipelineSettings, name: str) -> Adapter | None:
    """The adapter's folder, where PROMPTAI_ADAPTERS says where it is. Raises `TrainingError` if it cannot be served."""
    folder = settings.adapter_folders.get(name)
    return read_adapter(folder, values=False) if folder is not None and folder.suffix != ".gguf" else None


async def _compared(
    request: Request,
    cases: Sequence[Case],
    now: Serving,
    bot: BotSettings,
    settings: PipelineSettings,
    adapter: Adapter | None,
) -> Decision:
    current, answers = now.of(request.role), not request.plan.retrieval_only
    arms = arms_for(request.role, current=current, candidate=request.name, answers=answers)
    version = adapter.hash[:12] if adapter else "unknown"
    out = settings.data_dir / "promotions" / f"{request.role}-{request.name}-{version}"
    plan = replace(request.plan, out=out, fresh=True)  # the same name may be another adapter by now
    async with AsyncExitStack() as stack:
        corpus, _ = await stack.enter_async_context(open_corpus(request.corpus, plan.tenant, bot, settings))
        host = await stack.enter_async_context(_host(request, settings))
        with progress_bar(quiet=False) as bar:
            task = bar.add_task("", total=None)
            found = await measure(
                plan, cases, arms, corpus=corpus, models=_models(settings, host, now, current, request.name),
                options=answering_options(settings, now, corpus.tuning.thresholds),
                progress=lambda done, total, what: bar.update(task, completed=done, total=total, description=what[:40]),
            )  # fmt: skip
    title, about = f"{request.name} beside {current}, for {request.role}s", _about(request, now, len(cases))
    to_current = found.report(title, about, baseline=CURRENT)
    await asyncio.to_thread(write, to_current, out)
    hybrid = found.report(title, about, baseline=BASELINE) if _has(arms, BASELINE) else None
    return decide(request.role, to_current, hybrid)


@asynccontextmanager
async def _host(request: Request, settings: PipelineSettings) -> AsyncIterator[ModelHost]:
    """The model server, proven to serve the candidate. Raises `PromotionError` if it does not."""
    host = model_host(settings)
    try:
        await host.start()
        served = await check_adapter(host, settings, request.name)
        if served.verdict is not Verdict.SERVED:
            raise PromotionError(served.advice)
        yield host
    finally:
        await host.close()


def _models(settings: PipelineSettings, host: ModelHost, now: Serving, current: str, candidate: str) -> Models:
    answerers: dict[str, ChatModel] = {"": host.model(now.answer), current: host.model(current)}
    answerers[candidate] = host.model(candidate)
    drafters = {
        name: Drafter(host.model(name), name != BASE, calibrations_of(settings, name)) for name in (current, candidate)
    }
    own = calibrations_of(settings, now.draft)
    return Models(answerers, host.model(now.draft), host.model(BASE), calibrations=own, drafters=drafters)


def _has(arms: Sequence[Arm], name: str) -> bool:
    return any(arm.name == name for arm in arms)


def _about(request: Request, now: Serving, cases: int) -> dict[str, str]:
    return {
        "questions": f"{request.plan.questions.name}, {cases}",
        "corpus": request.corpus.name if request.corpus else f"synced, tenant {request.plan.tenant}",
        "in service": f"drafts {now.draft}, answers {now.answer}",
        "candidate": request.name,
    }
