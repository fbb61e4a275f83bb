"""Databases and indexes for tests of knowledge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pipeline.knowledge import knowledge_metadata


@asynccontextmanager
async def knowledge_engine(folder: Path, postgres: str | None = None) -> AsyncIterator[AsyncEngine]:
    """An engine on a database with empty knowledge tables: a SQLite file in `folder`, or the server at `postgres`."""
    if postgres is None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/knowledge.sqlite")
    else:
        engine = create_async_engine(postgres.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as connection:
        if postgres is not None:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
        await connection.run_sync(knowledge_metadata.create_all)
    try:
        yield engine
    finally:
        await engine.dispose()
