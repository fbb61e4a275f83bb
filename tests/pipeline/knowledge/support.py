"""Databases, indexes and sources for tests of knowledge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from pipeline.knowledge import Catalog, DirectorySource, Syncer, SyncReport, knowledge_metadata
from pipeline.knowledge.tables import PassageRow
from pipeline.retrieval import HashingEmbedder, MemoryKeywords, MemoryVectors, Retriever
from pipeline.retrieval.protocols import Embedder, KeywordIndex, VectorIndex
from pipeline.types import Hit, Passage


@asynccontextmanager
async def knowledge_engine(folder: Path, postgres: str | None = None) -> AsyncIterator[AsyncEngine]:
    """An engine on a database with empty knowledge tables: a SQLite file in `folder`, or the server at `postgres`."""
    if postgres is None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/knowledge.sqlite")
        # nobody pulls the plug during a test: waiting for the disk would only slow it down
        event.listen(engine.sync_engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
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


class World:
    """A folder of documents and everything that they are synced into."""

    def __init__(self, engine: AsyncEngine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.catalog = Catalog(engine)
        self.embedder: Embedder = HashingEmbedder()
        self.vectors: VectorIndex = MemoryVectors()
        self.keywords: KeywordIndex = MemoryKeywords()

    def write(self, name: str, content: str | bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()

    def syncer(self, **options: Any) -> Syncer:
        return Syncer(self.catalog, self.embedder, self.vectors, self.keywords, **options)

    async def sync(self, tenant: str = "shared", *, name: str = "docs", **options: Any) -> SyncReport:
        return await self.syncer().sync(DirectorySource(self.folder, name=name), tenant=tenant, **options)

    async def search(self, question: str, tenant: str = "acme", k: int = 10) -> tuple[Hit, ...]:
        retriever = Retriever(self.embedder, self.vectors, self.keywords, self.catalog)
        return await retriever.retrieve(question, draft=None, tenant=tenant, k=k)

    async def texts(self, question: str, tenant: str = "acme") -> set[str]:
        return {hit.passage.text for hit in await self.search(question, tenant)}

    async def passages(self, tenant: str = "shared") -> list[Passage]:
        """All visible ones, by id."""
        ids = [row.id for row in await self.rows(tenant) if row.visible]
        shown = await self.catalog.visible([tenant], ids)
        return [shown[passage_id] for passage_id in sorted(shown)]

    async def rows(self, tenant: str = "shared") -> list[Any]:
        """All rows of passages, visible or not."""
        async with self.engine.connect() as connection:
            rows = await connection.execute(select(PassageRow.__table__).where(PassageRow.tenant == tenant))
            return list(rows)

    async def assert_tidy(self, tenant: str = "shared") -> None:
        """Both indexes hold exactly what the catalog shows."""
        rows = await self.rows(tenant)
        ids = [row.id for row in rows]
        assert all(row.visible and row.indexed_by == self.embedder.fingerprint for row in rows)
        assert set(await self.vectors.vectors(tenant, ids)) == set(ids)
        assert await self.vectors.count(tenant) == len(ids)
        assert await self.keywords.count(tenant) == len(ids)


@asynccontextmanager
async def open_world(tmp_path: Path, postgres: str | None = None) -> AsyncIterator[World]:
    """A world with an empty folder of documents."""
    folder = tmp_path / "docs"
    folder.mkdir()
    async with knowledge_engine(tmp_path, postgres) as engine:
        yield World(engine, folder)
