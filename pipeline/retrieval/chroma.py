"""Passage vectors in Chroma: a folder of this process's own, or a Chroma server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import numpy as np

from pipeline.errors import IndexUnavailable
from pipeline.retrieval.memory import MemoryVectors
from pipeline.retrieval.naming import tenant_key
from pipeline.retrieval.protocols import Match, Vectors

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

__all__ = ["ChromaVectors", "MemoryVectors"]

T = TypeVar("T")

_PREFIX = "promptai"
_THREADS = 8
_HTTP_PORTS = {"http": 80, "https": 443}

_Nearest = tuple[Sequence[float], Sequence[str]]
"""What a collection holds near a vector: distances and ids, nearest first."""


class ChromaVectors:
    """`place` is a folder (created if need be), or the URL of a Chroma server.

    One collection a tenant, named `promptai.<tenant>.<embedder's fingerprint>`: vectors of two embedders never meet.
    The client is synchronous and runs in threads of its own. A call that takes longer than `timeout` seconds, and
    whatever Chroma raises, becomes `IndexUnavailable`.
    """

    def __init__(self, place: Path | str, fingerprint: str, *, timeout: float = 30.0) -> None:
        self._place = place
        self._fingerprint = fingerprint
        self._timeout = timeout
        self._connecting = threading.Lock()
        self._client: ClientAPI | None = None
        self._collections: dict[str, Collection] = {}
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="chroma")

    async def upsert(self, tenant: str, ids: Sequence[str], vectors: Vectors) -> None:
        if ids:
            await self._call(self._upsert, tenant, ids, vectors)

    async def delete(self, tenant: str, ids: Sequence[str]) -> None:
        if ids:
            await self._call(self._delete, tenant, ids)

    async def query(self, tenants: Sequence[str], vectors: Vectors, k: int) -> list[list[Match]]:
        if not len(vectors) or k < 1:
            return [[] for _ in vectors]
        names = [self._name(tenant) for tenant in dict.fromkeys(tenants)]
        if isinstance(self._place, Path):  # a millisecond each: to change threads for each costs more than it saves
            lists = await self._call(lambda: [self._query(name, vectors, k) for name in names])
        else:
            lists = await asyncio.gather(*(self._call(self._query, name, vectors, k) for name in names))
        return [_matches([each[row] for each in lists], k) for row in range(len(vectors))]

    async def vectors(self, tenant: str, ids: Sequence[str]) -> dict[str, Vectors]:
        return await self._call(self._vectors, tenant, ids) if ids else {}

    async def count(self, tenant: str) -> int:
        return await self._call(lambda: self._with(self._name(tenant), lambda found: found.count(), 0))

    async def drop(self, tenant: str) -> None:
        await self._call(self._remove, tenant, frozenset())

    async def prune(self, tenant: str, keep: Iterable[str] = ()) -> None:
        await self._call(self._remove, tenant, {self._name(tenant), *(self._name(tenant, each) for each in keep)})

    def beside(self, fingerprint: str) -> ChromaVectors:
        """What another embedder wrote, through the same client; to be closed before this one."""
        other = ChromaVectors(self._place, fingerprint, timeout=self._timeout)
        other._connect = self._connect  # type: ignore[method-assign]  # Chroma keeps one client a folder
        return other

    async def check(self) -> None:
        await self._call(lambda: self._connect().heartbeat())

    async def close(self) -> None:
        client, self._client = self._client, None
        self._collections.clear()
        if client is not None:
            await asyncio.to_thread(client.close)  # type: ignore[attr-defined]  # the interface lacks what clients have
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _name(self, tenant: str, fingerprint: str = "") -> str:
        return f"{_PREFIX}.{tenant_key(tenant)}.{fingerprint or self._fingerprint}"

    async def _call(self, work: Callable[..., T], *arguments: object) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await asyncio.get_running_loop().run_in_executor(self._threads, _guarded, work, *arguments)
        except TimeoutError as exc:
            raise self._unavailable(f"no answer within {self._timeout:g} s") from exc
        except _Failed as exc:
            raise self._unavailable(str(exc.__cause__) or type(exc.__cause__).__name__) from exc.__cause__

    def _unavailable(self, what: str) -> IndexUnavailable:
        if isinstance(self._place, Path):
            return IndexUnavailable(
                f"The vector index in {self._place} cannot be used: {what}. Is the disk full, or another process using"
                " the folder? If it is damaged, stop promptai, delete the folder and run `promptai sync`."
            )
        return IndexUnavailable(
            f"CHROMA_URL: the Chroma server at {_without_password(self._place)} cannot be used: {what}."
            " Is it running and reachable?"
        )

    def _connect(self) -> ClientAPI:
        with self._connecting:
            if self._client is None:
                self._client = _client(self._place, self._timeout)
            return self._client

    def _with(self, name: str, use: Callable[[Collection], T], missing: T) -> T:
        """`use` the collection called `name`; `missing` where there is none."""
        from chromadb.errors import NotFoundError  # noqa: PLC0415  # a second to import

        known = self._collections.get(name)
        if known is not None:
            try:
                return use(known)
            except NotFoundError:  # removed, perhaps created anew, behind our back
                self._collections.pop(name, None)
        try:
            found = self._connect().get_collection(name, embedding_function=None)
            result = use(found)
        except NotFoundError:
            return missing
        self._collections[name] = found
        return result

    def _upsert(self, tenant: str, ids: Sequence[str], vectors: Vectors) -> None:
        client = self._connect()
        collection = client.get_or_create_collection(
            self._name(tenant), configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
        )
        for part in _batches(len(ids), client.get_max_batch_size()):
            collection.upsert(ids=list(ids[part]), embeddings=np.ascontiguousarray(vectors[part]))

    def _delete(self, tenant: str, ids: Sequence[str]) -> None:
        """From every embedder's collection: an index kept for a roll-back would hold them for ever."""
        client = self._connect()
        for name in self._names(client, tenant):
            for part in _batches(len(ids), client.get_max_batch_size()):
                self._with(name, lambda found, part=part: found.delete(ids=list(ids[part])), None)  # type: ignore[misc]

    def _query(self, name: str, vectors: Vectors, k: int) -> list[_Nearest]:
        def nearest(found: Collection) -> list[_Nearest]:
            answer = found.query(query_embeddings=np.ascontiguousarray(vectors), n_results=k, include=["distances"])
            return list(zip(answer["distances"] or [], answer["ids"], strict=True))

        return self._with(name, nearest, [([], []) for _ in vectors])

    def _vectors(self, tenant: str, ids: Sequence[str]) -> dict[str, Vectors]:
        def fetch(found: Collection) -> dict[str, Vectors]:
            answer = found.get(ids=list(ids), include=["embeddings"])
            rows = np.asarray(answer["embeddings"], dtype=np.float32)
            return dict(zip(answer["ids"], rows, strict=True))

        return self._with(self._name(tenant), fetch, {})

    def _remove(self, tenant: str, keep: AbstractSet[str]) -> None:
        client = self._connect()
        for name in self._names(client, tenant):
            if name not in keep:
                client.delete_collection(name)
                self._collections.pop(name, None)

    def _names(self, client: ClientAPI, tenant: str) -> list[str]:
        """Of the tenant's collections, of all embedders."""
        prefix = f"{_PREFIX}.{tenant_key(tenant)}."
        return [collection.name for collection in _collections(client) if collection.name.startswith(prefix)]


def _matches(found: Sequence[_Nearest], k: int) -> list[Match]:
    """The `k` nearest of several collections."""
    pairs = [pair for distances, ids in found for pair in zip(distances, ids, strict=True)]
    if len(found) > 1:
        pairs.sort(key=itemgetter(0))  # stable: equals keep the collections' order
    return [Match(passage_id, 1.0 - distance) for distance, passage_id in pairs[:k]]


class _Failed(Exception):
    """Carries what Chroma raised out of its thread."""


def _guarded(work: Callable[..., T], *arguments: object) -> T:
    """Chroma raises its own errors, httpx's, ValueError for a server that is away, and Rust panics (BaseException)."""
    try:
        return work(*arguments)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as exc:
        raise _Failed from exc


def _client(place: Path | str, timeout: float) -> ClientAPI:
    import chromadb  # noqa: PLC0415  # a second to import
    from chromadb.config import Settings  # noqa: PLC0415

    settings = Settings(anonymized_telemetry=False)
    if isinstance(place, Path):
        place.mkdir(parents=True, exist_ok=True)
        return chromadb.PersistentClient(place, settings=settings)
    url = urlsplit(place)
    client = chromadb.HttpClient(
        host=url.hostname or "",
        port=url.port or _HTTP_PORTS[url.scheme],
        ssl=url.scheme == "https",
        settings=settings,
    )
    # Chroma sets no time-out: a server that accepts and never answers would hold a thread, and the exit, for ever.
    session = getattr(getattr(client, "_server", None), "_session", None)
    if session is not None:
        session.timeout = timeout
    return client


def _collections(client: ClientAPI, page: int = 1000) -> Iterator[Collection]:
    offset = 0
    while found := client.list_collections(limit=page, offset=offset):
        yield from found
        offset += len(found)


def _batches(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
