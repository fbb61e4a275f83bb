"""What a sync writes into the catalog: staged beside what is visible, switched in one transaction.

The order that makes a killed sync harmless: a passage's row is written (invisible, `indexed_by` empty), then the
indexes, then `indexed_by`, then the switch. Whatever the indexes hold has a row, so garbage can always be found.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from pipeline.knowledge.catalog import catalog_errors
from pipeline.knowledge.fold_documents import fold_documents
from pipeline.knowledge.tables import DocumentRow, PassageRow
from pipeline.knowledge.visible import PASSAGE_COLUMNS, parts, passage_from
from pipeline.types import Document, Passage


@dataclass(frozen=True, slots=True)
class Known:
    """What the last sync left of a document."""

    id: str
    key: str
    version: int
    file_hash: str
    content_hash: str
    recipe: str
    stamp: str
    language: str
    release: str


@dataclass(frozen=True, slots=True)
class Staged:
    """A new version of a document, not yet visible; see `DocumentRow` for the fields."""

    document: Document
    key: str
    version: int
    file_hash: str
    recipe: str
    stamp: str
    language: str
    release: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Moved:
    """A passage that keeps its text and place and gets another address, title or edition."""

    id: str
    location: str
    title: str
    language: str
    release: str


class Ledger:
    """The catalog's writing side, for one source of one tenant. Errors: `CatalogUnavailable`."""

    def __init__(self, engine: AsyncEngine, tenant: str, source: str) -> None:
        self._engine = engine
        self._tenant = tenant
        self._source = source

    async def clear(self) -> None:
        """Remove the versions that a killed sync left behind."""
        async with self._transaction() as connection:
            await connection.execute(delete(DocumentRow).where(self._of(DocumentRow), ~DocumentRow.visible))

    async def known(self) -> dict[str, Known]:
        """The visible documents by key."""
        columns = [getattr(DocumentRow, field.name) for field in fields(Known)]
        async with self._transaction() as connection:
            rows = await connection.execute(select(*columns).where(self._of(DocumentRow), DocumentRow.visible))
            return {known.key: known for known in (Known(*row) for row in rows)}

    async def touch(self, document_id: str, file_hash: str, stamp: str) -> None:
        """Other bytes or another stamp, same text: nothing to do but to remember it."""
        async with self._transaction() as connection:
            await connection.execute(
                update(DocumentRow)
                .where(DocumentRow.tenant == self._tenant, DocumentRow.id == document_id, DocumentRow.visible)
                .values(file_hash=file_hash, stamp=stamp)
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
        wanted = [Moved(*(getattr(passage, field.name) for field in fields(Moved))) for passage in passages]
        moved = tuple(each for each in wanted if each.id in held and held[each.id][1] != each)
        indexed_by = {passage_id: embedder for passage_id, (embedder, _) in held.items()}
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
            switched = await connection.execute(
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
                changed = [field.name for field in fields(Moved) if field.name != "id"]
                await connection.execute(
                    update(PassageRow)
                    .where(PassageRow.tenant == self._tenant, PassageRow.id == bindparam("to_id"))
                    .values({name: bindparam(f"to_{name}") for name in changed}),
                    [{f"to_{name}": value for name, value in asdict(each).items()} for each in moved],
                )
            if switched.rowcount or removed:
                await fold_documents(connection, self._tenant, sync)

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
        # not `!=`, for which no index is looked at
        by_others = or_(PassageRow.indexed_by < fingerprint, PassageRow.indexed_by > fingerprint)
        query = select(*PASSAGE_COLUMNS).where(PassageRow.tenant == self._tenant, by_others, PassageRow.visible)
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

    async def _claim(self, connection: AsyncConnection, sync: str, ids: Sequence[str]) -> dict[str, tuple[str, Moved]]:
        """Mark the passages that exist as part of `sync`; return who indexed them, and where they are now."""
        held: dict[str, tuple[str, Moved]] = {}
        columns = [getattr(PassageRow, field.name) for field in fields(Moved)]
        for some in parts(ids):
            where = and_(PassageRow.tenant == self._tenant, PassageRow.id.in_(some))
            await connection.execute(update(PassageRow).where(where).values(sync=sync))
            rows = await connection.execute(select(PassageRow.indexed_by, *columns).where(where))
            held.update((row.id, (row[0], Moved(*row[1:]))) for row in rows)
        return held

    async def _count(self, *where: ColumnElement[bool] | InstrumentedAttribute[bool]) -> int:
        async with self._transaction() as connection:
            return int((await connection.execute(select(func.count()).where(*where))).scalar_one())

    def _of(self, table: type[DocumentRow | PassageRow]) -> ColumnElement[bool]:
        return and_(table.tenant == self._tenant, table.source == self._source)


def _document(staged: Staged, now: datetime) -> dict[str, Any]:
    own = {field.name: getattr(staged, field.name) for field in fields(staged) if field.name != "document"}
    return asdict(staged.document) | own | {"updated_at": now}


def _passage(passage: Passage) -> dict[str, Any]:
    return asdict(passage) | {"heading_path": list(passage.heading_path), "indexed_by": ""}


def _hide(table: type[DocumentRow | PassageRow]) -> Any:
    return update(table).values(visible=False)


async def _insert(
    connection: AsyncConnection, table: type[DocumentRow | PassageRow], rows: list[dict[str, Any]]
) -> None:
    if rows:
        await connection.execute(insert(table), rows)
