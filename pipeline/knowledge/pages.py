"""What websites said of their pages, in SQL: the next sync asks only for what has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from pipeline.knowledge.catalog import catalog_errors
from pipeline.knowledge.sources.entry import WebPage
from pipeline.knowledge.tables import WebPageRow
from pipeline.knowledge.visible import parts


class SqlPages:
    """Implements `sources.entry.PageMemory` for one source of one tenant. Errors: `CatalogUnavailable`."""

    def __init__(self, engine: AsyncEngine, tenant: str, source: str) -> None:
        self._engine = engine
        self._key = {"tenant": tenant, "source": source}
        self._ours = and_(WebPageRow.tenant == tenant, WebPageRow.source == source)

    async def load(self) -> Mapping[str, WebPage]:
        with catalog_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(select(WebPageRow.__table__).where(self._ours))
                return {
                    row.url: WebPage(row.etag, row.last_modified, row.body_hash, row.media_type, tuple(row.links))
                    for row in rows
                }

    async def store(self, url: str, page: WebPage) -> None:
        row = {name: getattr(page, name) for name in ("etag", "last_modified", "body_hash", "media_type")}
        with catalog_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(WebPageRow).where(self._ours, WebPageRow.url == url))
                await connection.execute(
                    insert(WebPageRow), [{**self._key, "url": url, "links": list(page.links), **row}]
                )

    async def forget(self, urls: Sequence[str]) -> None:
        with catalog_errors():
            async with self._engine.begin() as connection:
                for some in parts(urls):
                    await connection.execute(delete(WebPageRow).where(self._ours, WebPageRow.url.in_(some)))
