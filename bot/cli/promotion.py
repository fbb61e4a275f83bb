"""`promptai adapter list|promote|rollback`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.adapters import adapter_app
from bot.cli.common import Json, err, fail, run, with_settings
from bot.cli.evaluation import AtOnce, Corpus, Size, Split, Tenant
from pipeline.types import Role

if TYPE_CHECKING:
    from bot.promotion import Promotion
    from bot.settings import BotSettings
    from pipeline.settings import PipelineSettings


@adapter_app.command("list")
def show(as_json: Json = False) -> None:
    """Which adapters are in service, and every attempt to promote one."""

    async def work(_bot: BotSettings, settings: PipelineSettings) -> None:
        from bot.parts import open_store, who_serves
        from bot.store import SqlPromotions

        now = await who_serves(settings)
        async with open_store(settings) as (engine, _store):
            found = await SqlPromotions(engine).all()
        if as_json:
            rows = [asdict(promotion) for promotion in found]
            print(json.dumps({"draft": now.draft, "answer": now.answer, "promotions": rows}, default=str))
            return
        print(
            f"drafts by {now.draft}{_set_by(settings.draft_model)}, answers by {now.answer}{_set_by(settings.answer_model)}"
        )
        for promotion in found:
            print(f"  {_line(promotion)}")

    run(with_settings(work))


@adapter_app.command()
def promote(
    name: Annotated[str, typer.Argument(help="The candidate, as the model server and PROMPTAI_ADAPTERS name it.")],
    role: Annotated[Role, typer.Option(help="What it is to do.")],
    questions: Annotated[
        Path, typer.Option("--questions", "-q", help="Held-out labelled questions, as for `evaluate`.")
    ],
    corpus: Corpus = None,
    split: Split = None,
    size: Size = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="The adapter's training data: held-out questions must not be in it. Again for its ancestors'."
        ),
    ] = None,
    retrieval_only: Annotated[
        bool, typer.Option("--retrieval-only", help="For drafts: answer nothing; quick.")
    ] = False,
    force: Annotated[
        str, typer.Option(metavar="REASON", help="Promote whatever the comparison says, for this reason.")
    ] = "",
    at_once: AtOnce = 1,
    tenant: Tenant = None,
    as_json: Json = False,
) -> None:
    """Put an adapter in service if it is better than the one there, beyond chance. Exit status 1 if it is not.

    Example: promptai adapter promote docs-v2 --role draft -q held-out-questions.jsonl --data data/
    """
    if role is Role.ANSWER and retrieval_only:
        fail("--retrieval-only compares drafts; answers are judged by answering.")

    async def work(bot: BotSettings, settings: PipelineSettings) -> None:
        from bot.promoting import Request
        from bot.promoting import promote as compare
        from bot.promotion import Outcome
        from pipeline.evaluation.promotion import shown
        from pipeline.evaluation.session import Plan

        plan = Plan(
            questions, Path(), split=split, size=size, retrieval_only=retrieval_only, at_once=at_once,
            tenant=tenant or bot.tenant,
        )  # fmt: skip
        promotion, decision = await compare(Request(name, role, plan, corpus, tuple(data or ()), force), bot, settings)
        if as_json:
            print(json.dumps(asdict(promotion), default=str))
        else:
            for line in (*map(shown, decision.figures), *decision.notes, *decision.reasons):
                print(f"  {line}")
            print(_line(promotion))
            if (settings.draft_model if role is Role.DRAFT else settings.answer_model) is not None:
                err.print(f"{role.upper()}_MODEL is set and comes first: unset it, so that what is promoted serves.")
        if promotion.outcome is Outcome.REFUSED:
            raise SystemExit(1)

    run(with_settings(work))


@adapter_app.command()
def rollback(role: Annotated[Role, typer.Option(help="Whose adapter is to be taken back.")]) -> None:
    """Take the promoted adapter out of service: what it replaced serves again, also in a bot that is running."""

    async def work(_bot: BotSettings, settings: PipelineSettings) -> None:
        from bot.parts import open_store, who_serves
        from bot.store import SqlPromotions

        async with open_store(settings) as (engine, _store):
            taken = await SqlPromotions(engine).roll_back(role)
        if taken is None:
            fail(f"No adapter was promoted for {role}s: the base model or a setting serves.")
        err.print(f"{taken.adapter} is out of service; {role}s are written by {(await who_serves(settings)).of(role)}.")

    run(with_settings(work))


def _set_by(setting: str | None) -> str:
    return " (set)" if setting is not None else ""


def _line(promotion: Promotion) -> str:
    back = f", rolled back {promotion.rolled_back_at:%Y-%m-%d %H:%M}" if promotion.rolled_back_at else ""
    why = f": {promotion.reason}" if promotion.reason else ""
    return (
        f"{promotion.decided_at:%Y-%m-%d %H:%M} {promotion.role} {promotion.adapter} {promotion.outcome}, beside "
        f"{promotion.replaces}, by {promotion.decided_by}{back}{why}"
    )
