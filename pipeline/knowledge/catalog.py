"""What there is to read, in SQL: the truth that the indexes may lag behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, tuple_
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from pipeline.errors import CatalogUnavailable
from pipeline.knowledge.tables import DocumentRow, PassageRow, SyncRow
from pipeline.knowledge.visible import VisiblePassages
from pipeline.types import Document, Passage


@dataclass(frozen=True, slots=True)
class DocumentSummary:
    """A document without its text."""

    id: str
    tenant: str
    source: str
    location: str
    title: str
    version: int
    """Grows by one with each change; the first is 1."""
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source and its last sync."""

    name: str
    tenant: str
    kind: str
    """As in `knowledge.toml`: `directory`, `git`, `website`, …"""
    documents: int
    """Visible now."""
    passages: int
    """Visible now."""
    state: str
    """Of the last sync: `running`, `done` or `failed`."""
    started_at: datetime
    """When the last sync began."""
    last_synced: datetime | None
    """When the last sync that succeeded ended; None if none has."""
    last_error: str | None
    """Why the last sync failed; None if it did not."""
    failed: tuple[tuple[str, str], ...]
    """Location and reason of each document that the last sync could not read."""


class Catalog:
    """Implements `retrieval.protocols.Visibility`. Errors: `CatalogUnavailable`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._passages = VisiblePassages(engine)

    async def visible(self, tenants: Sequence[str], ids: Sequence[str]) -> Mapping[str, Passage]:
        with catalog_errors():
            return await self._passages.visible(tenants, ids)

    async def passage(self, tenants: Sequence[str], passage_id: str) -> Passage | None:
        """A visible passage of one of `tenants`."""
        return (await self.visible(tenants, [passage_id])).get(passage_id)

    async def document(self, tenants: Sequence[str], document_id: str) -> Document | None:
        """A visible document; where several tenants have one of that id, the first tenant's."""
        columns = (DocumentRow.id, DocumentRow.tenant, DocumentRow.source, DocumentRow.location, DocumentRow.title)
        with catalog_errors():
            async with self.engine.connect() as connection:
                rows = await connection.execute(
                    select(*columns, DocumentRow.text, DocumentRow.content_hash).where(
                        DocumentRow.tenant.in_(tenants), DocumentRow.id == document_id, DocumentRow.visible
                    )
                )
                found = {row.tenant: Document(**row._mapping) for row in rows}
        return next((found[tenant] for tenant in tenants if tenant in found), None)

    async def documents(self, tenant: str) -> tuple[DocumentSummary, ...]:
        """All visible documents of one tenant, by source and location."""
        with catalog_errors():
            async with self.engine.connect() as connection:
                rows = await connection.execute(
                    select(
                        DocumentRow.id,
                        DocumentRow.tenant,
                        DocumentRow.source,
                        DocumentRow.location,
                        DocumentRow.title,
                        DocumentRow.version,
                        DocumentRow.updated_at,
                    )
                    .where(DocumentRow.tenant == tenant, DocumentRow.visible)
                    .order_by(DocumentRow.source, DocumentRow.location)
                )
                return tuple(DocumentSummary(**row._mapping) for row in rows)

    async def sources(self, tenant: str) -> tuple[SourceStatus, ...]:
        """Every source that was ever synced for one tenant, by name."""
        of_tenant = SyncRow.tenant == tenant
        latest = select(SyncRow.source, func.max(SyncRow.started_at)).where(of_tenant).group_by(SyncRow.source)
        runs = select(SyncRow.__table__).where(of_tenant, tuple_(SyncRow.source, SyncRow.started_at).in_(latest))
        done = (
            select(SyncRow.source, func.max(SyncRow.finished_at))
            .where(of_tenant, SyncRow.state == "done")
            .group_by(SyncRow.source)
        )
        with catalog_errors():
            async with self.engine.connect() as connection:
                documents = dict(await _counts(connection, DocumentRow, tenant))
                passages = dict(await _counts(connection, PassageRow, tenant))
                synced = {row[0]: row[1] for row in await connection.execute(done)}
                last = {run.source: run for run in await connection.execute(runs)}
        return tuple(
            SourceStatus(
                name=name,
                tenant=tenant,
                kind=run.kind,
                documents=documents.get(name, 0),
                passages=passages.get(name, 0),
                state=run.state,
                started_at=run.started_at,
                last_synced=synced.get(name),
                last_error=run.error,
                failed=tuple((location, reason) for location, reason in run.failed),
            )
            for name, run in sorted(last.items())
        )

    async def check(self) -> None:
        """Raise `CatalogUnavailable` if the database cannot be asked."""
        with catalog_errors():
            async with self.engine.connect() as connection:
                await connection.execute(select(DocumentRow.id).limit(1))


async def _counts(connection: Any, table: type[DocumentRow | PassageRow], tenant: str) -> list[tuple[str, int]]:
    rows = await connection.execute(
        select(table.source, func.count()).where(table.tenant == tenant, table.visible).group_by(table.source)
    )
    return [(source, count) for source, count in rows]


@contextmanager
def catalog_errors() -> Iterator[None]:
    """Translate what the database raises."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as exc:  # `visible` asks SQLite's driver itself
        raise CatalogUnavailable(
            f"The documents' database failed ({type(exc).__name__}). Check that it is running, that DATABASE_URL is"
            " right and `promptai migrate` has run; for SQLite, that the disk is not full."
        ) from exc
