"""What readers may see now: SQL decides each time, and only what is not known yet is read."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import CompoundSelect, Row, Select, Text, bindparam, func, null, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from pipeline.knowledge.seen import Seen
from pipeline.knowledge.switches import Switches
from pipeline.knowledge.tables import PassageRow, SwitchRow
from pipeline.types import Passage

T = TypeVar("T")

_VARIABLES = 500
"""Ids in one IN (...): SQLite allows 999 variables in its oldest builds, and a statement may have others."""

_AT_ONCE = 30_000
"""Ids whose visibility one statement says: more than retrieval ever asks about. SQLite takes 32,766 since 2020, asyncpg
32,767. Several statements could stand on both sides of a switch."""

_REMEMBERED = 20_000
"""Passages kept in memory, those asked for last; about 1.5 KB each."""

PASSAGE_COLUMNS = (
    PassageRow.id,
    PassageRow.document_id,
    PassageRow.tenant,
    PassageRow.location,
    PassageRow.title,
    PassageRow.heading_path,
    PassageRow.text,
    PassageRow.position,
    PassageRow.language,
    PassageRow.release,
    PassageRow.fold,
)

_CHANGEABLE = ("location", "title", "language", "release", "fold")
"""What may change of a passage that keeps its id; tenant, document, heading path, position and text are in the id."""

_WHERE = (
    PassageRow.tenant.in_(bindparam("tenants", expanding=True)),
    PassageRow.id.in_(bindparam("ids", expanding=True)),
    PassageRow.visible,
)
_SHOWN = select(PassageRow.tenant, PassageRow.id, *(getattr(PassageRow, name) for name in _CHANGEABLE))
_WHOLE = select(*PASSAGE_COLUMNS).where(*_WHERE)


def _of_json(name: str) -> Select[Any]:
    return select(func.json_each(bindparam(name, type_=Text())).table_valued("value").c.value)


_WHERE_SQLITE = (PassageRow.tenant.in_(_of_json("tenants")), PassageRow.id.in_(_of_json("ids")), PassageRow.visible)


def _for_sqlite(statement: Select[Any] | CompoundSelect[Any]) -> str:
    """The same text however many ids there are: SQLite keeps it prepared."""
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="named")))


_SHOWN_SQLITE = _for_sqlite(_SHOWN.where(*_WHERE_SQLITE))
_NUMBERED_SQLITE = _for_sqlite(
    _SHOWN.where(*_WHERE_SQLITE).union_all(select(null(), SwitchRow.number, *(null() for _ in _CHANGEABLE)))
)
"""Says besides, of the same instant, the number of `switches`: in the row without a tenant, where others have the id."""


class VisiblePassages:
    """Remembers passages; that they are visible, only as long as the number of `Switches` says that nothing has changed.

    So a switch by any process counts from the next question on. Without that number, what is visible is asked each time.
    """

    def __init__(self, engine: AsyncEngine, remembered: int = _REMEMBERED) -> None:
        self._engine = engine
        self._most = remembered
        self._known: OrderedDict[tuple[str, str], tuple[tuple[str, ...], Passage]] = OrderedDict()
        """(tenant, id) -> the values of `_CHANGEABLE`, and the passage."""
        self._switches = Switches(engine.sync_engine)
        self._seen = Seen(remembered)

    async def visible(self, tenants: Sequence[str], ids: Sequence[str]) -> Mapping[str, Passage]:
        """Those of `ids` that are visible and belong to one of `tenants`; never both sides of a switch."""
        if not tenants:
            return {}
        number = self._switches.number() if len(ids) <= _AT_ONCE else None
        if number is None:
            return (await self._ask(tenants, ids, numbered=False))[0]
        found, unknown = self._seen.recall(number, tenants, ids)
        if unknown:
            read, then = await self._ask(tenants, unknown, numbered=True)
            if then != number and len(unknown) < len(ids):  # a switch in between: both sides of it would be mixed
                unknown, found = list(ids), {}
                read, then = await self._ask(tenants, unknown, numbered=True)
            self._seen.note(then, tenants, unknown, read)
            found |= read
        return found

    async def _ask(
        self, tenants: Sequence[str], ids: Sequence[str], *, numbered: bool
    ) -> tuple[dict[str, Passage], int | None]:
        """What is visible, and the number that was valid then.

        One statement says what is visible, a second one reads what is not known yet. What that one does not show any
        more is left out, so that both sides of a switch never stand side by side.
        """
        found: dict[str, Passage] = {}
        unknown: list[str] = []
        number: int | None = None
        async with self._engine.connect() as connection:
            for some in parts(ids, _AT_ONCE):
                for tenant, passage_id, *values in await _shown(connection, tenants, some, numbered=numbered):
                    if tenant is None:
                        number = passage_id
                        continue
                    passage = self._recall(tenant, passage_id, tuple(values))
                    if passage is None:
                        unknown.append(passage_id)
                    else:
                        found[passage_id] = passage
            for some in parts(unknown):
                for row in await connection.execute(_WHOLE, {"tenants": tenants, "ids": some}):
                    passage = passage_from(row)
                    found[passage.id] = passage
                    self._remember(tuple(getattr(row, name) for name in _CHANGEABLE), passage)
        return found, number

    def _recall(self, tenant: str, passage_id: str, values: tuple[str, ...]) -> Passage | None:
        known = self._known.get((tenant, passage_id))
        if known is None:
            return None
        before, passage = known
        if before == values:
            self._known.move_to_end((tenant, passage_id))
            return passage
        location, title, language, release, fold = values
        changed = replace(passage, location=location, title=title, language=language, release=release, fold=fold)
        self._remember(values, changed)
        return changed

    def _remember(self, values: tuple[str, ...], passage: Passage) -> None:
        key = (passage.tenant, passage.id)
        self._known[key] = (values, passage)
        self._known.move_to_end(key)
        while len(self._known) > self._most:
            self._known.popitem(last=False)


async def _shown(
    connection: AsyncConnection, tenants: Sequence[str], ids: Sequence[str], *, numbered: bool
) -> Iterable[Sequence[Any]]:
    """Tenant, id and `_CHANGEABLE` of those that are visible, and perhaps the number, by one statement."""
    if connection.dialect.name != "sqlite":
        return await connection.execute(_SHOWN.where(*_WHERE), {"tenants": tenants, "ids": ids})
    # SQLAlchemy would change threads four times for this, aiosqlite does once.
    driver: Any = (await connection.get_raw_connection()).driver_connection
    found: Iterable[Sequence[Any]] = await driver.execute_fetchall(
        _NUMBERED_SQLITE if numbered else _SHOWN_SQLITE,
        {"tenants": json.dumps(list(tenants)), "ids": json.dumps(list(ids))},
    )
    return found


def passage_from(row: Row[*tuple[Any, ...]]) -> Passage:
    """A row of `PASSAGE_COLUMNS`."""
    return Passage(**{**row._mapping, "heading_path": tuple(row.heading_path)})


def parts(values: Iterable[T], size: int = _VARIABLES) -> Iterator[list[T]]:
    """`values` in lists that a single statement can name."""
    remaining = iter(values)
    while part := list(islice(remaining, size)):
        yield part
