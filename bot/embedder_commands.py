"""What `promptai embedder promote` and `rollback` do, as streams of JSON objects (see `bot.commands`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.app import Core
from bot.embedding import Embedding, forget_copies, keep_copy, open_embedding, open_promoted
from bot.errors import BotError
from pipeline.evaluation.cases import Case, read_cases, with_drafts
from pipeline.evaluation.corpus import SyncedCorpus, with_known_gold
from pipeline.evaluation.embedders import Verdict, compare, figures
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.knowledge.embedders import Embedders, Switched
from pipeline.knowledge.rebuilding import Rebuild

Event = dict[str, Any]
Progress = Callable[[int, int], None]


async def promote_embedder(core: Core, params: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
    """`model`, `questions`, `drafts` (or None), `split` (or None), `tenant`, `force`: progress, a verdict, and a switch if it
    is better (or `force`). The old index serves until then, and after a kill at any point."""
    registry = Embedders(core.engine)
    candidate = await open_embedding(params["model"], core.settings, core.embedding.vectors)
    try:
        if candidate.fingerprint == core.embedding.fingerprint:
            raise BotError(f"{params['model']} ({candidate.fingerprint}) is in service already.")
        cases = await _cases(core, params)
        await asyncio.to_thread(keep_copy, candidate.model, candidate.fingerprint, core.settings)
        await registry.begin(candidate.fingerprint, candidate.model)
        compared_with = core.embedding
        async for event in _reported(lambda progress: _fill(core, registry, candidate, progress), "building"):
            if event["event"] == "progress":
                yield event
        verdict: Verdict | None = None
        async for event in _reported(
            lambda progress: _judge(core, candidate, cases, params["tenant"], progress), "asking"
        ):
            if event["event"] == "done":
                verdict = event["result"]
            else:
                yield event
        assert verdict
        yield {"event": "verdict", "better": verdict.better, "arms": figures(verdict)}
        if not verdict.better and not params["force"]:
            await registry.refuse(candidate.fingerprint, candidate.model, {"arms": figures(verdict)})
            await asyncio.to_thread(forget_copies, core.settings, (candidate.fingerprint,))
            raise BotError(
                f"{candidate.fingerprint} is not better than {core.embedding.fingerprint} on these questions: it was not"
                " promoted, and the record says so (`promptai embedder list`). --force promotes it all the same."
            )
        if core.embedding is not compared_with:
            raise BotError("Another embedder was promoted meanwhile: nothing was switched. Run it again.")
        yield await _switch(core, registry, candidate, {"arms": figures(verdict), "forced": not verdict.better})
    except BaseException:
        if core.embedding is not candidate:
            await candidate.close()
        raise


async def rollback_embedder(core: Core, params: Mapping[str, Any]) -> AsyncGenerator[Event, None]:  # noqa: ARG001
    """Back to the embedder before, whose index is brought up to date first."""
    registry = Embedders(core.engine)
    before = await registry.previous()
    if before is None:
        raise BotError("There is no embedder to go back to: `promptai embedder list` shows what there is.")
    old = await open_promoted(before, core.settings, core.embedding.vectors)
    async for event in _reported(lambda progress: _fill(core, registry, old, progress), "building"):
        if event["event"] == "progress":
            yield event
    yield await _switch(core, registry, old, {"why": "rolled back"})


async def _switch(core: Core, registry: Embedders, new: Embedding, record: Mapping[str, Any]) -> Event:
    """With all syncs held: index what came meanwhile, switch in one transaction, adopt."""
    old = core.embedding
    tenants = await registry.tenants()
    same = await asyncio.to_thread(_measure_alike, old, new)
    async with core.syncer.paused(tenants):
        await Rebuild(core.engine, new.embedder, new.vectors).fill(tenants, lambda _done, _total: None)
        switched = Switched((old.fingerprint, old.model), (new.fingerprint, new.model), same, record)
        await registry.switch(switched, tenants)
        await core.use_embedding(new)
    return {"event": "switched", "from": old.fingerprint, "to": new.fingerprint, "resplit": not same}


def _measure_alike(old: Embedding, new: Embedding) -> bool:
    """Whether both cut documents into the same passages: the same tokenizer and window. Blocking."""
    files = [each.folder / "tokenizer.json" for each in (old, new)]
    texts = [file.read_bytes() if file.is_file() else b"" for file in files]
    return bool(texts[0]) and texts[0] == texts[1] and old.embedder.max_tokens == new.embedder.max_tokens


async def _fill(core: Core, registry: Embedders, new: Embedding, progress: Progress) -> int:
    return await Rebuild(core.engine, new.embedder, new.vectors).fill(await registry.tenants(), progress)


async def _judge(core: Core, new: Embedding, cases: tuple[Case, ...], tenant: str, progress: Progress) -> Verdict:
    return await compare(cases, core.retriever_of(core.embedding), core.retriever_of(new), tenant, progress)


async def _cases(core: Core, params: Mapping[str, Any]) -> tuple[Case, ...]:
    """The questions, checked before anything slow. Raises `EvaluationError`."""
    cases = await asyncio.to_thread(read_cases, Path(params["questions"]), split=params.get("split"))
    if params.get("drafts"):
        cases = await asyncio.to_thread(with_drafts, cases, Path(params["drafts"]))
    corpus = await SyncedCorpus.open(
        core.catalog, CachingEmbedder(core.embedder, None), core.vectors, core.keywords, params["tenant"]
    )
    return await with_known_gold([replace(case, sections=()) for case in cases], corpus)


async def _reported(work: Callable[[Progress], Any], what: str) -> AsyncGenerator[Event, None]:
    """Progress of `work` as events, then its result."""
    queue: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()
    task = asyncio.ensure_future(work(lambda done, total: queue.put_nowait((done, total))))
    task.add_done_callback(lambda _task: queue.put_nowait(None))
    try:
        while (step := await queue.get()) is not None:
            yield {"event": "progress", "done": step[0], "total": step[1], "what": what}
    finally:
        if not task.done():
            task.cancel()
    yield {"event": "done", "result": await task}
