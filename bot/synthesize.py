"""`promptai synthesize`: reads the documents and starts the model for `pipeline.training.synthesis`, shows what comes out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bot.parts import model_host, open_store
from bot.synthesis_progress import expected, progress, used
from pipeline.errors import TrainingError
from pipeline.evaluation.corpus import read_passages
from pipeline.knowledge.catalog import Catalog
from pipeline.knowledge.passages import Splitter
from pipeline.llm.embedded import find_model
from pipeline.retrieval.embedder import SentenceTransformerEmbedder
from pipeline.settings import PipelineSettings
from pipeline.training.synthesis.asking import Asker, Limits
from pipeline.training.synthesis.costs import Prices
from pipeline.training.synthesis.examples import Example
from pipeline.training.synthesis.filters import Dropped, filters_of, passes
from pipeline.training.synthesis.generation import Amount, Generator
from pipeline.training.synthesis.journal import Journal
from pipeline.training.synthesis.near import HeldOut
from pipeline.training.synthesis.output import MANIFEST, REPORT, SAMPLE
from pipeline.training.synthesis.pages import Corpus, corpus_of
from pipeline.training.synthesis.session import Plan, finish, given, read_inputs
from pipeline.training.synthesis.template import NONE, ChatTemplate, template_of_folder, template_of_gguf
from pipeline.types import SHARED, Passage

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Writer:
    """A model and how it may be used."""

    name: str
    """On the configured server: an adapter, or `tgi` for its base."""
    limits: Limits
    amount: Amount
    prices: Prices


@dataclass(frozen=True, slots=True)
class Request:
    """What the command was given besides the plan."""

    plan: Plan
    corpus: Path | None
    """A folder or JSON lines; None: what has been synced."""
    tenant: str
    """Whose documents are read beside the shared ones; empty: nobody's."""
    base: Path | None
    """A Hugging Face folder whose chat template is pinned; None: the embedded model's."""
    writer: Writer | None = None
    """The model that adds to rules and seeds; None: none does."""
    as_json: bool = False


async def run(request: Request, settings: PipelineSettings) -> None:
    """Make the data folder. Raises `TrainingError` before anything slow where the input is wrong."""
    inputs = await asyncio.to_thread(read_inputs, request.plan)
    template = await asyncio.to_thread(_template, request, settings)
    corpus = await _corpus(request, settings)
    _say(f"{len(corpus.pages):,} documents, {len(corpus.passages):,} passages", request)
    dropped = Dropped()
    examples = await asyncio.to_thread(given, request.plan, inputs, corpus, dropped)
    _say(f"{len(examples):,} examples by rules and seeds", request)
    told: dict[str, Any] = {}
    if request.writer is not None:
        written, told = await _write(request, request.writer, settings, corpus, examples, inputs.held_out)
        examples += written
    manifest = await asyncio.to_thread(
        finish, request.plan, inputs, corpus, examples, dropped,
        template=template, generator=told, date=datetime.now(UTC).date().isoformat(),
    )  # fmt: skip
    _show(request, manifest)


async def _write(
    request: Request,
    writer: Writer,
    settings: PipelineSettings,
    corpus: Corpus,
    given: Sequence[Example],
    held_out: HeldOut,
) -> tuple[list[Example], dict[str, Any]]:
    """What the model adds, and what it used. Raises `ModelError` where it is gone: the journal keeps what was written."""
    async with AsyncExitStack() as stack:
        host = model_host(settings)
        stack.push_async_callback(host.close)
        await host.start()
        model = host.model(writer.name)
        journal = stack.enter_context(closing(Journal(request.plan.out)))
        show = stack.enter_context(progress(writer.prices, quiet=request.as_json))
        asker = Asker(model, journal, writer.limits, show)
        filters = filters_of(corpus, held_out)
        generator = Generator(corpus, asker, writer.amount, lambda example: passes(example, filters))
        _say(expected(generator.forecast(given), writer.prices, model.name), request)
        began = time.monotonic()
        written = await generator.write(given)
        told = used(asker.usage, writer.prices, time.monotonic() - began, model.name)
    _say(f"{len(written):,} examples by {model.name}", request)
    if asker.usage.left:
        _say(f"--limit-calls left out {asker.usage.left:,} calls: the same command goes on there.", request)
    return written, told


async def _corpus(request: Request, settings: PipelineSettings) -> Corpus:
    """Passages as the index holds them: cut by the embedder's tokenizer, which loads no model."""
    measure = SentenceTransformerEmbedder(settings.embedding_model)
    if request.corpus is not None:
        return corpus_of(await read_passages(request.corpus, measure))
    return corpus_of(await _synced(request.tenant, settings, Splitter(measure)))


async def _synced(tenant: str, settings: PipelineSettings, splitter: Splitter) -> list[Passage]:
    """Shared documents, and `tenant`'s own: only who may read all of them may be answered by what is trained on them."""
    owners = (tenant, SHARED) if tenant else (SHARED,)
    passages: list[Passage] = []
    async with AsyncExitStack() as stack:
        engine, _ = await stack.enter_async_context(open_store(settings))
        catalog = Catalog(engine)
        for owner in owners:
            for summary in await catalog.documents(owner):
                document = await catalog.document((owner,), summary.id)
                if document is not None:
                    passages += await asyncio.to_thread(splitter.split, document)
    if not passages:
        raise TrainingError("Nothing has been synced: run `promptai sync docs/` first, or give --corpus.")
    return passages


def _template(request: Request, settings: PipelineSettings) -> ChatTemplate:
    if request.base is not None:
        return template_of_folder(request.base)
    return NONE if settings.model_url else template_of_gguf(find_model())


def _say(text: str, request: Request) -> None:
    if not request.as_json:
        err.print(f"[dim]{text}[/]")


def _show(request: Request, manifest: dict[str, Any]) -> None:
    if request.as_json:
        print(json.dumps(manifest, ensure_ascii=False, indent=2))
        return
    for name, file in manifest["files"].items():
        out.print(f"{file['rows']:>8,}  {name}")
    if dropped := manifest["dropped"]:
        out.print("dropped   " + ", ".join(f"{name} {count:,}" for name, count in dropped.items()), soft_wrap=True)
    if not manifest["chat_template"]["text"]:
        err.print(f"[yellow]No chat template is pinned[/] ({manifest['chat_template']['source']}).", soft_wrap=True)
    folder = request.plan.out
    out.print(
        f"\n{folder / SAMPLE} shows rows to read; {folder / REPORT} and {MANIFEST} tell the rest.", soft_wrap=True
    )
