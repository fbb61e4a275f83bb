"""promptai: its answering pipeline over what it synced, without a draft and with each way of not waiting for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing

import structlog

from benchmarks.frameworks.hyde_common import DRAFT_TOKENS, HITS, PASSAGES, Job, Results, job
from bot.store.database import database_url, open_engine
from pipeline.answering import AnsweringOptions, AnsweringPipeline
from pipeline.knowledge import Catalog
from pipeline.llm.tgi import ModelServer
from pipeline.retrieval import ChromaVectors, Retriever, SentenceTransformerEmbedder, TantivyKeywords
from pipeline.speculation import Drafting
from pipeline.types import SHARED, Answer, AnswerReady, Hit, Mode, PassagesFound, TextDelta

VARIANTS = (
    ("no draft", Mode.RAG, Drafting.ALWAYS),
    *((f"{drafting}", Mode.COMBINED, drafting) for drafting in Drafting),
)


async def ranking(retriever: Retriever, question: str, shown: Sequence[Hit], answer: Answer) -> list[str]:
    """Pages of the 50 best passages by what the answer's were found with, best first.

    Where the draft was a list, or named a page, the answer's own passages come first.
    """
    draft = answer.draft
    if answer.speculation is not None and answer.speculation.outcome in (
        "kept",
        "skipped",
        "agreed",
        "doubted",
        "late",
    ):
        draft = None
    hits = await retriever.retrieve(
        question,
        draft=draft.text if draft else None,
        trust=draft.trust if draft else None,
        tenant=SHARED,
        k=HITS,
    )
    named = answer.speculation is not None and answer.speculation.outcome in ("named", "added")
    if named or not {hit.passage.id for hit in shown} <= {hit.passage.id for hit in hits}:
        hits = (*shown, *hits)
    return [hit.passage.location.partition("#")[0] for hit in hits]


async def answer(
    pipeline: AnsweringPipeline, retriever: Retriever, question: str, text: Callable[[], None]
) -> list[str]:
    shown: tuple[Hit, ...] = ()
    async with aclosing(pipeline.answer(question, tenant=SHARED)) as events:
        async for event in events:
            match event:
                case TextDelta():
                    text()
                case PassagesFound(hits):
                    shown = hits
                case AnswerReady(finished):
                    return await ranking(retriever, question, shown, finished)
    raise AssertionError("an answer ends with AnswerReady")


async def measure(task: Job) -> None:
    # by name, as the sync did: a path makes another fingerprint, of an empty collection
    embedder = SentenceTransformerEmbedder()
    engine = open_engine(database_url(None, task.index))
    vectors = ChromaVectors(task.index / "chroma", embedder.fingerprint, timeout=300)
    (found,) = await vectors.query([SHARED], await embedder.embed(["a question"]), 1)
    if not found:
        raise SystemExit("The synced vectors are not found: was the index written with another embedder?")
    keywords = TantivyKeywords(task.index / "keywords")
    retriever = Retriever(embedder, vectors, keywords, Catalog(engine))
    server = ModelServer(task.url)
    loop = asyncio.get_running_loop()
    results = Results(task)
    for name, mode, drafting in VARIANTS:
        # no threshold and no end to waiting: nobody else abstains, or gives a draft up
        options = AnsweringOptions(
            mode=mode,
            drafting=drafting,
            passages=PASSAGES,
            draft_tokens=DRAFT_TOKENS,
            min_similarity=-1,
            draft_wait=3600,
        )
        model = server.model(f"promptai, {name}")
        pipeline = AnsweringPipeline(drafter=model, answerer=model, retriever=retriever, options=options)

        def ask(question: str, text: Callable[[], None], pipeline: AnsweringPipeline = pipeline) -> list[str]:
            return asyncio.run_coroutine_threadsafe(answer(pipeline, retriever, question, text), loop).result()

        settings = "hybrid retrieval with the question alone"
        if mode is Mode.COMBINED:
            settings = f"and with a draft of at most {DRAFT_TOKENS} tokens, DRAFTING={drafting}"
        await asyncio.to_thread(results.ask_all, f"promptai, {name}", settings, ask)
    for each in (server, embedder, vectors, keywords):
        await each.close()
    await engine.dispose()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors only
    asyncio.run(measure(job()))
