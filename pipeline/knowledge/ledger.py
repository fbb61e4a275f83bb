"""What a sync writes into the catalog: staged beside what is visible, switched in one transaction.

The order that makes a killed sync harmless: a passage's row is written (invisible, `indexed_by` empty), then the
indexes, then `indexed_by`, then the switch. Whatever the indexes hold has a row, so garbage can always be found.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from pipeline.knowledge.catalog import PASSAGE_COLUMNS, catalog_errors, parts, passage_from
from pipeline.knowledge.tables import DocumentRow, PassageRow
from pipeline.types import Document, Passage


@dataclass(frozen=True, slots=True)
class Known:
    """What the last sync left of a document."""

    id: str
    version: int
    file_hash: str
    content_hash: str
    recipe: str


@dataclass(frozen=True, slots=True)
class Staged:
    """A new version of a document, not yet visible."""

    document: Document
    version: int
    file_hash: str
    recipe: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A passage that keeps its text and place and gets another address or title."""

    id: str
    location: str
    title: str


class Ledger:
    """The catalog's writing side, for one source of one tenant. Errors: `CatalogUnavailable`."""

    def __init__(self, engine: AsyncEngine, tenant: str, source: str) -> None:
        self._engine = engine
        self._tenant = tenant
        self._source = source

    async def known(self) -> dict[str, Known]:
        """The visible documents by id. Versions that a killed sync left behind are removed."""
        columns = (
            DocumentRow.id,
            DocumentRow.version,
            DocumentRow.file_hash,
            DocumentRow.content_hash,
            DocumentRow.recipe,
        )
        async with self._transaction() as connection:
            await connection.execute(delete(DocumentRow).where(self._of(DocumentRow), ~DocumentRow.visible))
            rows = await connection.execute(select(*columns).where(self._of(DocumentRow)))
            return {row.id: Known(**row._mapping) for row in rows}

    async def touch(self, document_id: str, file_hash: str) -> None:
        """Other bytes, same text: nothing to do but to remember it."""
        async with self._transaction() as connection:
            await connection.execute(
                update(DocumentRow)
                .where(DocumentRow.tenant == self._tenant, DocumentRow.id == document_id, DocumentRow.visible)
                .values(file_hash=file_hash)
            )

    async def stage(
        self, sync: str, staged: Sequence[Staged], passages: Sequence[Passage], now: datetime
    ) -> tuple[dict[str, str], tuple[Moved, ...]]:
        """Write documents and passages invisibly, except passages that exist already.

        Returns which embedder has indexed each passage ("" for none), and those that only get another address.
        """
        common = {"source": self._source, "sync": sync, "visible": False}
        async with self._transaction() as connection:
            await _insert(connection, DocumentRow, [_document(each, now) | common for each in staged])
            held = await self._claim(connection, sync, [passage.id for passage in passages])
            missing = [_passage(passage) | common for passage in passages if passage.id not in held]
            await _insert(connection, PassageRow, missing)
        moved = tuple(
            Moved(passage.id, passage.location, passage.title)
            for passage in passages
            if passage.id in held and held[passage.id][1:] != (passage.location, passage.title)
        )
        indexed_by = {passage_id: row[0] for passage_id, row in held.items()}
        return {passage.id: indexed_by.get(passage.id, "") for passage in passages}, moved

    async def mark_indexed(self, ids: Iterable[str], fingerprint: str) -> None:
        """Both indexes hold these passages."""
        async with self._transaction() as connection:
            for some in parts(ids):
                await connection.execute(
                    update(PassageRow)
                    .where(PassageRow.tenant == self._tenant, PassageRow.id.in_(some))
                    .values(indexed_by=fingerprint)
                )

    async def switch(self, sync: str, removed: Sequence[str], moved: Sequence[Moved], now: datetime) -> None:
        """In one transaction: what `sync` staged becomes visible; what it replaces, and `removed`, becomes invisible."""
        staged = select(DocumentRow.id).where(self._of(DocumentRow), DocumentRow.sync == sync, ~DocumentRow.visible)
        async with self._transaction() as connection:
            await connection.execute(
                update(PassageRow)
                .where(PassageRow.tenant == self._tenant, PassageRow.document_id.in_(staged))
                .values(visible=PassageRow.sync == sync)
            )
            await connection.execute(
                update(DocumentRow)
                .where(self._of(DocumentRow), DocumentRow.id.in_(staged))
                .values(visible=DocumentRow.sync == sync, updated_at=now)
            )
            for some in parts(removed):
                await connection.execute(_hide(DocumentRow).where(self._of(DocumentRow), DocumentRow.id.in_(some)))
                await connection.execute(
                    _hide(PassageRow).where(self._of(PassageRow), PassageRow.document_id.in_(some))
                )
            if moved:
                await connection.execute(
                    update(PassageRow)
                    .where(PassageRow.tenant == self._tenant, PassageRow.id == bindparam("moved_id"))
                    .values(location=bindparam("to_location"), title=bindparam("to_title")),
                    [{"moved_id": each.id, "to_location": each.location, "to_title": each.title} for each in moved],
                )

    async def garbage(self) -> list[str]:
        """Invisible passages, from now on not counted on to be in the indexes: remove them there, then `forget` them."""
        where = and_(self._of(PassageRow), ~PassageRow.visible)
        async with self._transaction() as connection:
            await connection.execute(update(PassageRow).where(where).values(indexed_by=""))
            return list((await connection.execute(select(PassageRow.id).where(where))).scalars())

    async def forget(self, ids: Sequence[str]) -> None:
        """Remove the rows of collected passages, and of document versions that nobody sees."""
        async with self._transaction() as connection:
            for some in parts(ids):
                await connection.execute(
                    delete(PassageRow).where(self._of(PassageRow), PassageRow.id.in_(some), ~PassageRow.visible)
                )
            await connection.execute(delete(DocumentRow).where(self._of(DocumentRow), ~DocumentRow.visible))

    async def indexed(self, fingerprint: str) -> int:
        """How many of the tenant's passages, of all sources, both indexes should hold."""
        return await self._count(PassageRow.tenant == self._tenant, PassageRow.indexed_by == fingerprint)

    async def distrust_indexes(self) -> None:
        """An index has lost passages: none of the tenant's are taken to be there any more."""
        async with self._transaction() as connection:
            await connection.execute(update(PassageRow).where(PassageRow.tenant == self._tenant).values(indexed_by=""))

    async def unindexed(self, fingerprint: str, size: int) -> AsyncIterator[tuple[Passage, ...]]:
        """Visible passages of the tenant, of all sources, that are not indexed: mark each part before asking for more."""
        query = select(*PASSAGE_COLUMNS).where(
            PassageRow.tenant == self._tenant, PassageRow.visible, PassageRow.indexed_by != fingerprint
        )
        while True:
            async with self._transaction() as connection:
                found = tuple(passage_from(row) for row in await connection.execute(query.limit(size)))
            if not found:
                return
            yield found

    async def passages(self) -> int:
        """How many passages of the source are visible."""
        return await self._count(self._of(PassageRow), PassageRow.visible)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        with catalog_errors():
            async with self._engine.begin() as connection:
                yield connection

    async def _claim(
        self, connection: AsyncConnection, sync: str, ids: Sequence[str]
    ) -> dict[str, tuple[str, str, str]]:
        """Mark the passages that exist as part of `sync`; return who indexed them, their location and title."""
        held: dict[str, tuple[str, str, str]] = {}
        for some in parts(ids):
            where = and_(PassageRow.tenant == self._tenant, PassageRow.id.in_(some))
            await connection.execute(update(PassageRow).where(where).values(sync=sync))
            columns = (PassageRow.id, PassageRow.indexed_by, PassageRow.location, PassageRow.title)
            held.update(
                (row[0], (row[1], row[2], row[3])) for row in await connection.execute(select(*columns).where(where))
            )
        return held

    async def _count(self, *where: ColumnElement[bool] | InstrumentedAttribute[bool]) -> int:
        async with self._transaction() as connection:
            return int((await connection.execute(select(func.count()).where(*where))).scalar_one())

    def _of(self, table: type[DocumentRow | PassageRow]) -> ColumnElement[bool]:
        return and_(table.tenant == self._tenant, table.source == self._source)


def _document(staged: Staged, now: datetime) -> dict[str, Any]:
    key = staged.document.id.partition(":")[2]
    return asdict(staged.document) | {
        "key": key,
        "version": staged.version,
        "file_hash": staged.file_hash,
        "recipe": staged.recipe,
        "updated_at": now,
    }


def _passage(passage: Passage) -> dict[str, Any]:
    return asdict(passage) | {"heading_path": list(passage.heading_path), "indexed_by": ""}


def _hide(table: type[DocumentRow | PassageRow]) -> Any:
    return update(table).values(visible=False)


async def _insert(
    connection: AsyncConnection, table: type[DocumentRow | PassageRow], rows: list[dict[str, Any]]
) -> None:
    if rows:
        await connection.execute(insert(table), rows)
