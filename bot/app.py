"""The composition root: builds everything, closes everything. Nothing is built at import.

`open_core` builds what answers questions; `bot.serve` adds the platforms and the listeners to it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from bot.answering import Answering, answering_options
from bot.embedding import Embedding, open_embedding, open_promoted, open_reranker, open_serving
from bot.errors import BotError, StoreUnavailable
from bot.isolation import IsolationWatch
from bot.lock import own_data_dir
from bot.promotion import Serving, serving
from bot.settings import BotSettings
from bot.store import (
    Engine,
    SqlFreshness,
    SqlPromotions,
    SqlStore,
    SqlTenants,
    database_url,
    migrate,
    open_engine,
    pending_migration,
    sqlite_file,
)
from pipeline.answering import AnsweringOptions, AnsweringPipeline
from pipeline.knowledge.canaries import Canaries
from pipeline.knowledge.catalog import Catalog
from pipeline.knowledge.embedders import Embedders
from pipeline.knowledge.sync import Syncer
from pipeline.llm import ModelHost
from pipeline.llm.embedded import EmbeddedServer
from pipeline.llm.tgi import ModelServer
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
        await self.use_embedding(await open_promoted(serving, self.settings, self.embedding.vectors))
        return True

    def options(self, now: Serving) -> AnsweringOptions:
        """The pipeline's, by who drafts and by the embedder in service."""
        return answering_options(self.settings, now, self.embedding.thresholds)

    async def warm(self) -> None:
        """Load the embedder, and the reranker if there is one. Raises `IndexUnavailable` for the embedder."""
        await self.embedder.warm()
        if self.reranker is not None:
            await self.reranker.warm()

    async def passage(self, tenant: str, passage_id: str) -> Passage | None:
        """For the console: a passage that `tenant` may see."""
        return await self.catalog.passage((tenant, SHARED), passage_id)

    async def document(self, tenant: str, document_id: str) -> Document | None:
        """For the console: a document that `tenant` may see."""
        return await self.catalog.document((tenant, SHARED), document_id)


def model_host(settings: PipelineSettings) -> ModelHost:
    """The model server that the settings name, or the embedded one; nothing is started or connected yet."""
    if settings.model_url is None:
        return EmbeddedServer(
            settings.data_dir,
            adapters=settings.adapter_folders,
            as_gguf=partial(_as_gguf, settings.data_dir / "adapters"),
            context_tokens=settings.context_tokens,
            first_token_timeout=settings.first_token_timeout,
            stall_timeout=settings.stall_timeout,
        )
    return ModelServer(
        settings.model_url,
        api_key=settings.model_api_key.get_secret_value() if settings.model_api_key else None,
        first_token_timeout=settings.first_token_timeout,
        stall_timeout=settings.stall_timeout,
    )


def _as_gguf(cache: Path, adapters: Mapping[str, Path], model: Path) -> AbstractContextManager[Sequence[Path]]:
    """What llama.cpp loads for each adapter; made in `cache` where it is not there yet. Entering raises `TrainingError`."""
    if not adapters and not cache.is_dir():
        return nullcontext(())
    from pipeline.training.converted import converted_adapters  # noqa: PLC0415 - only where there are adapters

    return converted_adapters(adapters, model, cache)


@asynccontextmanager
async def open_store(settings: PipelineSettings) -> AsyncIterator[tuple[Engine, SqlStore]]:
    """The database alone, brought up to date where it is SQLite. Raises `StoreUnavailable`."""
    secret = settings.database_url
    engine = open_engine(database_url(secret.get_secret_value() if secret else None, settings.data_dir))
    try:
        if engine.dialect.name == "sqlite":
            settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            await migrate(engine)
        elif await pending_migration(engine):
            raise StoreUnavailable("The database's tables are not up to date. Run `promptai migrate` first.")
        yield engine, SqlStore(engine)
    finally:
        await engine.dispose()


async def who_serves(settings: PipelineSettings) -> Serving:
    """Who drafts and answers, for a command without a core. A database that is not there yet is not made for that."""
    if (settings.draft_model and settings.answer_model) or not await _has_database(settings):
        return serving(settings, {})
    async with open_store(settings) as (engine, _store):
        return serving(settings, await SqlPromotions(engine).in_service())


async def open_served(settings: PipelineSettings) -> Embedding:
    """The embedder in service, for a command without a core. Raises `IndexUnavailable`; see `who_serves`."""
    if not await _has_database(settings):
        return await open_embedding(settings.embedding_model, settings)
    async with open_store(settings) as (engine, _store):
        return await open_serving(Embedders(engine), settings)


async def _has_database(settings: PipelineSettings) -> bool:
    return settings.database_url is not None or await asyncio.to_thread(sqlite_file(settings.data_dir).exists)


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
