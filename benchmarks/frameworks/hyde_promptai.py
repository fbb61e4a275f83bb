"""promptai: its answering pipeline over what it synced, without a draft and with each way of not waiting for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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


class Recording:
    """Passes retrievals on and remembers them."""

    def __init__(self, inner: Retriever) -> None:
        self._inner = inner
        self.calls: list[tuple[str | None, float | None, tuple[Hit, ...]]] = []
        """Draft, trust, and what was found."""

    async def retrieve(
        self, question: str, *, draft: str | None, tenant: str, k: int, trust: float | None = None
    ) -> tuple[Hit, ...]:
        hits = await self._inner.retrieve(question, draft=draft, tenant=tenant, k=k, trust=trust)
        self.calls.append((draft, trust, hits))
        return hits

    async def ranking(self, question: str, shown: tuple[Hit, ...], answer: Answer) -> list[str]:
        """Pages of the 50 best passages of the retrieval that the answer was written from, best first."""
        wanted = {hit.passage.id for hit in shown}
        same = [call for call in self.calls if {hit.passage.id for hit in call[2]} == wanted]
        drafted = answer.speculation is None or answer.speculation.outcome in ("waited", "restarted")
        draft, trust, _ = same[-1 if drafted else 0]
        hits = await self._inner.retrieve(question, draft=draft, tenant=SHARED, k=HITS, trust=trust)
        return [hit.passage.location.partition("#")[0] for hit in hits]


async def answer(
    pipeline: AnsweringPipeline, retriever: Recording, question: str, text: Callable[[], None]
) -> list[str]:
    retriever.calls.clear()
    shown: tuple[Hit, ...] = ()
    async with aclosing(pipeline.answer(question, tenant=SHARED)) as events:
        async for event in events:
            match event:
                case TextDelta():
                    text()
                case PassagesFound(hits):
                    shown = hits
                case AnswerReady(finished):
                    return await retriever.ranking(question, shown, finished)
    raise AssertionError("an answer ends with AnswerReady")


async def measure(task: Job) -> None:
    embedder = SentenceTransformerEmbedder(task.model)
    engine = open_engine(database_url(None, task.index))
    vectors = ChromaVectors(task.index / "chroma", embedder.fingerprint, timeout=300)
    keywords = TantivyKeywords(task.index / "keywords")
    retriever = Recording(Retriever(embedder, vectors, keywords, Catalog(engine)))
    server = ModelServer(task.url)
    loop = asyncio.get_running_loop()
    results = Results(task)
    for name, mode, drafting in VARIANTS:
        # no threshold: nobody else abstains
        options = AnsweringOptions(
            mode=mode, drafting=drafting, passages=PASSAGES, draft_tokens=DRAFT_TOKENS, min_similarity=-1
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
