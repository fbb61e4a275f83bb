"""A planted passage in every tenant's documents, and the proof that nobody else can find it.

A canary is a passage like any other - a row, a vector, an entry in the keyword index - except that it belongs to no
source and says nothing. Whoever can find a tenant's canary could find the tenant's documents. The retriever never
returns one (`Passage.is_canary`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from pipeline.knowledge.catalog import Catalog, catalog_errors
from pipeline.knowledge.passages import passage_id
from pipeline.knowledge.tables import PassageRow
from pipeline.retrieval.protocols import Embedder, KeywordIndex, VectorIndex, Vectors
from pipeline.types import CANARY_DOCUMENT, SHARED, Passage

_PATH = ("Canary",)
_AT_ONCE = 100
"""Canaries looked for in one query."""
_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Leak:
    """A tenant can find what belongs to another one."""

    reader: str
    """Who can find it."""
    owner: str
    """Whose canary it is."""
    place: str
    """`vectors`, `keywords` or `catalog`."""


@dataclass(frozen=True, slots=True)
class IsolationReport:
    """What a check found."""

    tenants: tuple[str, ...]
    leaks: tuple[Leak, ...]
    blind: tuple[tuple[str, str], ...]
    """Tenant and place where its own canary is not found: nothing is proven there."""

    @property
    def leaking(self) -> frozenset[str]:
        """Tenants that can find what is not theirs."""
        return frozenset(leak.reader for leak in self.leaks)


class Canaries:
    """Plants canaries and looks for them. Errors: `IndexUnavailable`, `CatalogUnavailable`."""

    def __init__(self, catalog: Catalog, embedder: Embedder, vectors: VectorIndex, keywords: KeywordIndex) -> None:
        self._catalog = catalog
        self._embedder = embedder
        self._vectors = vectors
        self._keywords = keywords

    def use(self, embedder: Embedder, vectors: VectorIndex) -> None:
        """From now on plant and look for canaries there."""
        self._embedder, self._vectors = embedder, vectors

    async def plant(self, tenant: str) -> None:
        """Put the tenant's canary where it is not yet. Row first: whatever an index holds has a row."""
        passage = canary(tenant)
        fingerprint = await asyncio.to_thread(lambda: self._embedder.fingerprint)
        indexed_by = await _claim(self._catalog.engine, passage)
        held = await self._vectors.vectors(tenant, [passage.id])
        if indexed_by == fingerprint and held and await self._finds_itself(passage):
            return
        await self._vectors.upsert(tenant, [passage.id], await self._embedder.embed([passage.embedded_text]))
        await self._keywords.upsert(tenant, [passage])
        where = (PassageRow.tenant == tenant, PassageRow.id == passage.id)
        with catalog_errors():
            async with self._catalog.engine.begin() as connection:
                await connection.execute(update(PassageRow).where(*where).values(indexed_by=fingerprint))

    async def check(self, tenants: Sequence[str]) -> IsolationReport:
        """Look for every tenant's canary as every other tenant, and as somebody of no tenant, in all three places."""
        owners = tuple(dict.fromkeys(tenant for tenant in tenants if tenant != SHARED))
        planted = {canary(tenant).id: canary(tenant) for tenant in owners}
        rows = await self._embedder.embed([passage.embedded_text for passage in planted.values()]) if planted else None
        leaks: list[Leak] = []
        blind: list[tuple[str, str]] = []
        for reader in (*owners, SHARED):
            for place, found in (await self._found(reader, planted, rows)).items():
                if reader != SHARED and canary(reader).id not in found:
                    blind.append((reader, place))
                owned = (planted[passage_id].tenant for passage_id in sorted(found))
                leaks += [Leak(reader, owner, place) for owner in owned if owner != reader]
        return IsolationReport(owners, tuple(leaks), tuple(blind))

    async def _found(self, reader: str, planted: Mapping[str, Passage], rows: Vectors | None) -> dict[str, set[str]]:
        """Place -> ids of canaries that `reader` can find there."""
        readable = tuple(dict.fromkeys((reader, SHARED)))
        found: dict[str, set[str]] = {"vectors": set(), "keywords": set(), "catalog": set()}
        if rows is None:
            return found
        passages = list(planted.values())
        for start in range(0, len(passages), _AT_ONCE):
            some = passages[start : start + _AT_ONCE]
            targets = np.ascontiguousarray(rows[start : start + _AT_ONCE])
            for tenant in readable:
                for matches in await self._vectors.query((tenant,), targets, _NEAREST):
                    found["vectors"].update(match.passage_id for match in matches)
            words = [(passage.text, 1.0) for passage in some]
            matches = await self._keywords.query(readable, words, len(some))
            found["keywords"].update(match.passage_id for match in matches)
            found["catalog"].update(await self._catalog.visible(readable, [passage.id for passage in some]))
        return {place: ids & set(planted) for place, ids in found.items()}

    async def _finds_itself(self, passage: Passage) -> bool:
        matches = await self._keywords.query((passage.tenant,), [(passage.text, 1.0)], 1)
        return any(match.passage_id == passage.id for match in matches)


def canary(tenant: str) -> Passage:
    """The tenant's canary: words that no document has, the same on every replica."""
    digest = hashlib.sha256(b"canary\x1f" + tenant.encode("utf-8", "surrogatepass")).hexdigest()
    letters = digest.translate(str.maketrans("0123456789", "ghjklmnpqr"))
    text = f"{letters[:16]} {letters[16:32]}"
    return Passage(
        id=passage_id(tenant, CANARY_DOCUMENT, _PATH, 0, text),
        document_id=CANARY_DOCUMENT,
        tenant=tenant,
        location=CANARY_DOCUMENT,
        title=_PATH[0],
        heading_path=_PATH,
        text=text,
        position=0,
    )


async def _claim(engine: AsyncEngine, passage: Passage) -> str:
    """Which embedder has indexed the canary's row, which is made if need be ("" then)."""
    where = (PassageRow.tenant == passage.tenant, PassageRow.id == passage.id)
    with catalog_errors():
        async with engine.begin() as connection:
            held = (await connection.scalars(select(PassageRow.indexed_by).where(*where))).one_or_none()
            if held is None:
                row = {
                    "tenant": passage.tenant,
                    "id": passage.id,
                    "document_id": passage.document_id,
                    "source": "",
                    "location": passage.location,
                    "title": passage.title,
                    "heading_path": list(passage.heading_path),
                    "text": passage.text,
                    "position": passage.position,
                    "sync": "",
                    "visible": True,
                    "indexed_by": "",
                }
                await connection.execute(insert(PassageRow), [row])
    return held or ""
