"""The composition root: builds everything, closes everything. Nothing is built at import.

`open_core` builds what answers questions; `bot.serve` adds the platforms and the listeners to it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from bot.answering import Answering, answering_options
from bot.embedding import Embedding, open_promoted, open_reranker, open_serving
from bot.errors import BotError
from bot.isolation import IsolationWatch
from bot.lock import own_data_dir
from bot.parts import model_host, open_store
from bot.promotion import Serving
from bot.settings import BotSettings
from bot.store import Engine, SqlFreshness, SqlPromotions, SqlStore, SqlTenants
from pipeline.answering import AnsweringOptions, AnsweringPipeline
from pipeline.errors import PipelineError
from pipeline.knowledge.canaries import Canaries
from pipeline.knowledge.catalog import Catalog
from pipeline.knowledge.embedders import Embedders
from pipeline.knowledge.sync import Syncer
from pipeline.llm import ModelHost
from pipeline.retrieval.crossencoder import CrossEncoderReranker
from pipeline.retrieval.embedder import SentenceTransformerEmbedder
from pipeline.retrieval.guard import GuardedRetriever
from pipeline.retrieval.keywords import TantivyKeywords
from pipeline.retrieval.protocols import KeywordIndex, VectorIndex
from pipeline.retrieval.retriever import Retriever
from pipeline.settings import PipelineSettings
from pipeline.types import SHARED, Document, Passage

log = structlog.get_logger(__name__)


@dataclass
class Core:
    """What answers questions, without any platform. Close it by leaving `open_core`."""

    bot: BotSettings
    settings: PipelineSettings
    engine: Engine
    store: SqlStore
    tenants: SqlTenants
    catalog: Catalog
    embedding: Embedding
    """The embedder in service and its index; a promotion exchanges it."""
    canaries: Canaries
    reranker: CrossEncoderReranker | None
    keywords: KeywordIndex
    retriever: GuardedRetriever
    isolation: IsolationWatch
    syncer: Syncer
    models: ModelHost
    answering: Answering
    went_stale: asyncio.Event
    """Set when a sync of this process has marked past answers."""
    _stack: AsyncExitStack

    async def pipeline(self) -> AnsweringPipeline:
        """See `Answering.pipeline`."""
        return await self.answering.pipeline()

    @property
    def embedder(self) -> SentenceTransformerEmbedder:
        return self.embedding.embedder

    @property
    def vectors(self) -> VectorIndex:
        return self.embedding.vectors

    def retriever_of(self, embedding: Embedding) -> Retriever:
        """A retriever on this embedder's index."""
        tuning = embedding.tuning(self.settings, self.reranker)
        return tuning.retriever(embedding.embedder, embedding.vectors, self.keywords, self.catalog)

    async def use_embedding(self, new: Embedding) -> None:
        """Exchange embedder, index and thresholds. What is being retrieved ends with the old ones, which stay open."""
        self._stack.push_async_callback(new.close)
        self.embedding = new
        self.retriever.use(self.retriever_of(new))
        self.canaries.use(new.embedder, new.vectors)
        self.syncer.use(new.embedder, new.vectors)
        self.answering.tune()
        log.info("embedder_in_service", embedder=new.fingerprint)

    async def follow_embedding(self) -> bool:
        """Adopt what another process promoted; True if there was something. Raises `IndexUnavailable`."""
        serving = await Embedders(self.engine).serving()
        if serving is None or serving.fingerprint == self.embedding.fingerprint:
            return False
        before = self.embedding
        new = await open_promoted(serving, self.settings, before.vectors)
        async with AsyncExitStack() as unused:
            unused.push_async_callback(new.close)
            await new.embedder.warm()  # questions go on with the old one meanwhile
            if self.embedding is not before:  # somebody was quicker, perhaps with a newer one: the next look tells
                return False
            await self.use_embedding(new)
            unused.pop_all()
        return True

    def options(self, now: Serving) -> AnsweringOptions:
        """The pipeline's, by who drafts and by the embedder in service."""
        return answering_options(self.settings, now, self.embedding.thresholds)

    async def warm(self) -> None:
        """Load the embedder, the reranker if there is one, and what a first search loads. Raises `IndexUnavailable` for the
        embedder; `/readyz` tells of an index that does not answer yet."""
        await self.embedder.warm()
        if self.reranker is not None:
            await self.reranker.warm()
        try:
            await self.retriever.find("ready", tenant=self.bot.tenant, k=1)
        except PipelineError as error:
            log.warning("search_not_tried", error=str(error))

    async def passage(self, tenant: str, passage_id: str) -> Passage | None:
        """For the console: a passage that `tenant` may see."""
        return await self.catalog.passage((tenant, SHARED), passage_id)

    async def document(self, tenant: str, document_id: str) -> Document | None:
        """For the console: a document that `tenant` may see."""
        return await self.catalog.document((tenant, SHARED), document_id)


@asynccontextmanager
async def open_core(bot: BotSettings, settings: PipelineSettings) -> AsyncIterator[Core]:
    """Own the data folder and build the core. Raises `DataDirectoryBusy`, `StoreUnavailable` or `IndexUnavailable`."""
    async with AsyncExitStack() as stack:
        stack.enter_context(own_data_dir(settings.data_dir))
        engine, store = await stack.enter_async_context(open_store(settings))
        embedding = await open_serving(Embedders(engine), settings)
        stack.push_async_callback(embedding.close)
        embedder, vectors = embedding.embedder, embedding.vectors
        keywords = TantivyKeywords(settings.data_dir / "keywords")
        stack.push_async_callback(keywords.close)
        catalog = Catalog(engine)
        went_stale = asyncio.Event()
        tenants = SqlTenants(engine, default=bot.tenant)
        reranker = open_reranker(settings)
        if reranker is not None:
            stack.push_async_callback(reranker.close)
        canaries = Canaries(catalog, embedder, vectors, keywords)
        tuning = embedding.tuning(settings, reranker)
        retriever = GuardedRetriever(tuning.retriever(embedder, vectors, keywords, catalog))
        models = model_host(settings)
        promotions = SqlPromotions(engine)
        answering = Answering(settings, models, retriever, promotions, lambda now: core.options(now))  # noqa: PLW0108
        stack.push_async_callback(answering.close)
        core = Core(
            bot=bot,
            settings=settings,
            engine=engine,
            store=store,
            tenants=tenants,
            catalog=catalog,
            embedding=embedding,
            canaries=canaries,
            reranker=reranker,
            keywords=keywords,
            retriever=retriever,
            isolation=IsolationWatch(canaries, tenants.names, retriever, every=bot.canary_seconds),
            # the data folder has one owner: whoever owns it next takes over a killed one's leases
            syncer=Syncer(
                catalog,
                embedder,
                vectors,
                keywords,
                holder=f"{socket.gethostname()}:{settings.data_dir.absolute()}"[-300:],
                before=lambda: core.follow_embedding(),  # noqa: PLW0108  # `core` is built below
                after_switch=partial(_mark_stale, SqlFreshness(engine), went_stale),
            ),
            models=models,
            answering=answering,
            went_stale=went_stale,
            _stack=stack,
        )
        yield core


async def _mark_stale(freshness: SqlFreshness, went_stale: asyncio.Event) -> None:
    """Mark past answers that cite what has just changed; the next sync makes up for a failure."""
    try:
        if marked := await freshness.mark():
            log.info("answers_went_stale", citations=marked)
            went_stale.set()
    except BotError as error:
        log.warning("stale_answers_not_marked", error=str(error))
