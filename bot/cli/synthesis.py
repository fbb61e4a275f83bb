"""The options of `promptai synthesize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli import app
from bot.cli.common import Json, checked_tenant, fail, run, with_settings

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from bot.settings import BotSettings
    from pipeline.settings import PipelineSettings

Share = typer.Option(min=0.0, max=0.9)


@app.command()
def synthesize(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the data.")] = Path("training-data"),
    corpus: Annotated[
        Path | None, typer.Option(help="A folder, or JSON lines of sections, instead of what has been synced.")
    ] = None,
    tenant: Annotated[
        str, typer.Option(help="Read this tenant's own documents too. The adapter is then for that tenant alone.")
    ] = "",
    seeds: Annotated[
        list[Path] | None, typer.Option(help="JSON lines of questions: question, page, section. Repeat it.")
    ] = None,
    held_out: Annotated[
        list[Path] | None,
        typer.Option(help="JSON lines of evaluation questions: nothing like them is trained on. Repeat it."),
    ] = None,
    skip_unknown_seeds: Annotated[
        bool, typer.Option("--skip-unknown-seeds", help="Leave out seeds whose page is not there.")
    ] = False,
    rules: Annotated[bool, typer.Option(help="Make what needs no model: headings, tables, lists, …")] = True,
    wordings: Annotated[int, typer.Option(min=1, help="Wordings of a rule's question, at most.")] = 3,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave out rules of this kind: statement, terms, …; repeat it.")
    ] = None,
    skill: Annotated[list[str] | None, typer.Option(help="draft, answer; repeat it. Default: both.")] = None,
    draft_form: Annotated[str, typer.Option(help="What a draft is: prose, answer, heading or headings.")] = "prose",
    draft_tokens: Annotated[int, typer.Option(min=8, help="Longest draft, in tokens (estimated).")] = 80,
    answer_rows: Annotated[int, typer.Option(min=0, help="Rows of grounded answers, at most.")] = 1000,
    answer_passages: Annotated[int, typer.Option(min=1, help="Passages of such a row, at most.")] = 3,
    row_tokens: Annotated[int, typer.Option(min=128, help="Longest row, in tokens (estimated).")] = 1024,
    absent_share: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of grounded rows without the right passage: say so.")
    ] = 0.2,
    best_first: Annotated[
        bool,
        typer.Option(
            "--best-first/--shuffled", help="Right passage first where a search finds it, and its page's others."
        ),
    ] = False,
    held_out_share: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of the questions kept for the loss on unseen rows.")
    ] = 0.03,
    base: Annotated[
        Path | None, typer.Option(help="Folder of the served model's tokenizer, whose chat template is pinned.")
    ] = None,
    small_model: Annotated[
        bool | None,
        typer.Option("--small-model/--large-model", help="Prompts as served to it. Default: small without MODEL_URL."),
    ] = None,
    model: Annotated[
        bool | None,
        typer.Option("--model/--no-model", help="Whether a model writes more. Default: where MODEL_URL is set."),
    ] = None,
    generator: Annotated[
        str, typer.Option(help="The model that writes: an adapter's name, or tgi for the base.")
    ] = "tgi",
    questions: Annotated[int, typer.Option(min=1, help="Questions of a kind that it writes about a passage.")] = 3,
    rephrasings: Annotated[int, typer.Option(min=0, help="Other wordings that it writes of a question.")] = 3,
    at_once: Annotated[int, typer.Option("--concurrency", min=1, help="Calls in flight.")] = 4,
    limit_calls: Annotated[
        int | None, typer.Option(min=0, help="Calls of this run, at most; the same command then goes on.")
    ] = None,
    price_in: Annotated[float, typer.Option(min=0, help="Of a million tokens read, to show the cost.")] = 0.0,
    price_out: Annotated[float, typer.Option(min=0, help="Of a million tokens written.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Turn documents into training data: rows for both skills, pairs for the embedder, a report and a page to read.

    Example: promptai synthesize --corpus examples/streaming-qoe/docs --held-out examples/streaming-qoe/questions.jsonl
    """
    from pipeline.training.rows import Skill
    from pipeline.training.synthesis.asking import Limits
    from pipeline.training.synthesis.costs import Prices
    from pipeline.training.synthesis.drafts import DraftForm
    from pipeline.training.synthesis.generation import Amount
    from pipeline.training.synthesis.making import Shape
    from pipeline.training.synthesis.session import Plan

    def work(_: BotSettings, settings: PipelineSettings) -> Coroutine[None, None, None]:
        from bot import synthesize as synthesis

        shape = Shape(
            skills=tuple(dict.fromkeys(Skill(_one_of(name, Skill, "--skill")) for name in skill or list(Skill))),
            draft_form=DraftForm(_one_of(draft_form, DraftForm, "--draft-form")),
            draft_tokens=draft_tokens, answer_rows=answer_rows, answer_passages=answer_passages,
            row_tokens=row_tokens, absent=absent_share, best_first=best_first, held_out=held_out_share,
            small_model=settings.model_url is None if small_model is None else small_model,
        )  # fmt: skip
        plan = Plan(
            out, tuple(seeds or ()), tuple(held_out or ()), rules=rules, wordings=wordings,
            without=tuple(without or ()), skip_unknown_seeds=skip_unknown_seeds, shape=shape,
        )  # fmt: skip
        owner = checked_tenant(tenant) if tenant else ""
        limits, prices = Limits(at_once, limit_calls), Prices(price_in, price_out)
        writer = synthesis.Writer(generator, limits, Amount(questions, rephrasings), prices)
        wanted = settings.model_url is not None if model is None else model
        return synthesis.run(
            synthesis.Request(plan, corpus, owner, base, writer if wanted else None, as_json), settings
        )

    run(with_settings(work))


def _one_of(name: str, known: type, option: str) -> str:
    names = [str(each) for each in known]  # type: ignore[attr-defined]
    if name not in names:
        fail(f"{option} {name}: choose from {', '.join(names)}.")
    return name
