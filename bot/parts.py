"""The parts that a command can open without a whole core: the database, the model server, and what is in service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path

from bot.embedding import Embedding, open_embedding, open_serving
from bot.errors import StoreUnavailable
from bot.promotion import Serving, serving
from bot.store import (
    Engine,
    SqlPromotions,
    SqlStore,
    database_url,
    migrate,
    open_engine,
    pending_migration,
    sqlite_file,
)
from pipeline.knowledge.embedders import Embedders
from pipeline.llm import ModelHost
from pipeline.llm.embedded import EmbeddedServer
from pipeline.llm.tgi import ModelServer
from pipeline.settings import PipelineSettings


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
