"""Passages by BM25 in tantivy: one index a tenant, on disk, changed in place."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import structlog
import tantivy

from pipeline.errors import IndexUnavailable
from pipeline.retrieval.analysis import FIELDS, analyzer, field_texts, weighted_terms
from pipeline.retrieval.memory import MemoryKeywords, idf
from pipeline.retrieval.naming import tenant_key
from pipeline.retrieval.protocols import Match
from pipeline.types import Passage

__all__ = ["MemoryKeywords", "TantivyKeywords"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

_LAYOUT = "v2"
"""Part of each index's folder: raise it when schema or analysis change, and the next sync writes the index anew."""

_WRITER_BYTES = 32_000_000


@dataclass(frozen=True, slots=True)
class _Open:
    """One tenant's index."""

    index: tantivy.Index
    writing: threading.Lock


class TantivyKeywords:
    """Indexes live in `folder`; the folder of a tenant is created by its first passage.

    Tantivy is synchronous and runs in threads. Errors: `IndexUnavailable`, saying which folder is meant.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opening = threading.Lock()
        self._opened: dict[str, _Open] = {}

    async def upsert(self, tenant: str, passages: Sequence[Passage]) -> None:
        if passages:
            await self._call(tenant, self._upsert, tenant, passages)

    async def delete(self, tenant: str, ids: Sequence[str]) -> None:
        if ids:
            await self._call(tenant, self._delete, tenant, ids)

    async def query(self, tenants: Sequence[str], weighted_texts: Sequence[tuple[str, float]], k: int) -> list[Match]:
        if k < 1:
            return []
        return await self._call(tenants[0], self._query, tuple(dict.fromkeys(tenants)), weighted_texts, k)

    async def count(self, tenant: str) -> int:
        return await self._call(tenant, self._count, tenant)

    async def drop(self, tenant: str) -> None:
        await self._call(tenant, self._drop, tenant)

    async def check(self) -> None:
        await asyncio.to_thread(self._check)

    async def close(self) -> None:
        with self._opening:
            self._opened.clear()

    async def _call(self, tenant: str, work: Callable[..., T], *arguments: object) -> T:
        try:
            return await asyncio.to_thread(work, *arguments)
        except (ValueError, OSError) as exc:  # tantivy raises ValueError for everything
            raise self._unavailable(self._place(tenant), exc) from exc

    def _unavailable(self, place: Path, exc: Exception) -> IndexUnavailable:
        if "LockBusy" in str(exc):
            advice = "Another process is writing to it: stop that process, or give each its own PROMPTAI_DATA_DIR."
        else:
            advice = (
                "Is the disk full or the folder unreadable?"
                " If the index is damaged, delete the folder and run `promptai sync`."
            )
        return IndexUnavailable(f"The keyword index in {place} cannot be used: {exc}. {advice}")

    def _place(self, tenant: str) -> Path:
        return self._folder / _LAYOUT / tenant_key(tenant)

    def _open(self, tenant: str, *, create: bool = False) -> _Open | None:
        with self._opening:
            if tenant not in self._opened:
                place = self._place(tenant)
                if create:
                    place.mkdir(parents=True, exist_ok=True)
                elif not (place / "meta.json").is_file():
                    return None
                index = tantivy.Index(_schema(), path=str(place))
                index.config_reader("manual")  # the default watches the files in a thread for each index
                index.register_tokenizer("passage", analyzer())
                index.reload()
                self._opened[tenant] = _Open(index, threading.Lock())
            return self._opened[tenant]

    def _upsert(self, tenant: str, passages: Sequence[Passage]) -> None:
        def write(writer: tantivy.IndexWriter) -> None:
            for passage in passages:
                writer.delete_documents_by_term("id", passage.id)
                writer.add_document(tantivy.Document(id=passage.id, **field_texts(passage)))

        self._change(self._open(tenant, create=True), write)

    def _delete(self, tenant: str, ids: Sequence[str]) -> None:
        def write(writer: tantivy.IndexWriter) -> None:
            for passage_id in ids:
                writer.delete_documents_by_term("id", passage_id)

        self._change(self._open(tenant), write)

    def _change(self, opened: _Open | None, write: Callable[[tantivy.IndexWriter], None]) -> None:
        """Run one commit: all of `write` or nothing of it."""
        if opened is None:
            return
        with opened.writing:
            writer = opened.index.writer(_WRITER_BYTES, 1)
            try:
                write(writer)
                writer.commit()
            finally:
                writer.wait_merging_threads()  # releases the lock file
            opened.index.reload()

    def _query(self, tenants: Sequence[str], weighted_texts: Sequence[tuple[str, float]], k: int) -> list[Match]:
        terms = weighted_terms(weighted_texts)
        searchers = [opened.index.searcher() for tenant in tenants if (opened := self._open(tenant))]
        searchers = [searcher for searcher in searchers if searcher.num_docs]
        if not terms:
            return []
        hits = [
            (float(score), searcher, address)
            for searcher, boosts in zip(searchers, _comparable(searchers, terms), strict=True)
            for score, address in _search(searcher, boosts, k)
        ]
        best = sorted(hits, key=itemgetter(0), reverse=True)[:k]  # before ids are read; equals keep the tenants' order
        return [Match(searcher.doc(address)["id"][0], score) for score, searcher, address in best]

    def _count(self, tenant: str) -> int:
        opened = self._open(tenant)
        return int(opened.index.searcher().num_docs) if opened else 0

    def _drop(self, tenant: str) -> None:
        opened = self._open(tenant)
        with self._opening:
            self._opened.pop(tenant, None)
        if opened is not None:
            with opened.writing:
                shutil.rmtree(self._place(tenant))

    def _check(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for place in (self._folder / _LAYOUT).glob("*/meta.json"):
                tantivy.Index(_schema(), path=str(place.parent))
        except (ValueError, OSError) as exc:
            raise self._unavailable(self._folder, exc) from exc


@cache
def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder().add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    for field in FIELDS:
        builder = builder.add_text_field(field, tokenizer_name="passage", index_option="freq")
    return builder.build()


def _comparable(searchers: Sequence[tantivy.Searcher], terms: dict[str, float]) -> list[dict[tuple[str, str], float]]:
    """For each index the boosts by field and term, corrected so that a term counts as rare as it is in all indexes.

    Otherwise a tenant's three passages, where every term is common, could never compete with a large shared index.
    """
    sizes = [searcher.num_docs for searcher in searchers]
    boosts: list[dict[tuple[str, str], float]] = [{} for _ in searchers]
    for (field, weight), (term, count) in product(FIELDS.items(), terms.items()):
        # deleted passages count here until their segment is merged
        holding = [min(searcher.doc_freq(field, term), size) for searcher, size in zip(searchers, sizes, strict=True)]
        overall = idf(sum(sizes), sum(holding))
        for boost, size, held in zip(boosts, sizes, holding, strict=True):
            if held:
                boost[field, term] = weight * count * overall / idf(size, held)
    return boosts


def _search(searcher: tantivy.Searcher, boosts: dict[tuple[str, str], float], k: int) -> list[Any]:
    """Pairs of score and address, best first."""
    # Terms, not a parsed query: nothing a person writes is syntax.
    schema = _schema()
    query = tantivy.Query.boolean_query(
        [
            (
                tantivy.Occur.Should,
                tantivy.Query.boost_query(tantivy.Query.term_query(schema, field, term, "freq"), boost),
            )
            for (field, term), boost in boosts.items()
        ]
    )
    return searcher.search(query, limit=k, count=False).hits
