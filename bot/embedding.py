"""The embedder in service with the index that it wrote: opened together, exchanged together."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import structlog

from bot.store import Engine
from pipeline.errors import IndexUnavailable, PipelineError
from pipeline.knowledge.embedders import Embedders, KnownEmbedder
from pipeline.retrieval.chroma import ChromaVectors
from pipeline.retrieval.crossencoder import CrossEncoderReranker
from pipeline.retrieval.embedder import SentenceTransformerEmbedder
from pipeline.retrieval.models import find
from pipeline.retrieval.reranking import Reranking
from pipeline.retrieval.thresholds import Thresholds, read_thresholds
from pipeline.retrieval.tuning import Tuning
from pipeline.settings import PipelineSettings
from pipeline.types import Filters

log = structlog.get_logger(__name__)

FOLDER = "embedders"
"""In the data folder: copies of promoted embedders, so that training into the same folder again changes nothing."""
EVERY = 30.0
"""Seconds between looks at whether another process has promoted an embedder."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """What vectors are made and compared with."""

    model: str
    """Name or folder, as it was given or recorded."""
    folder: Path
    """Where it lies on this machine."""
    fingerprint: str
    embedder: SentenceTransformerEmbedder
    vectors: ChromaVectors
    thresholds: Thresholds

    def tuning(self, settings: PipelineSettings, reranker: CrossEncoderReranker | None) -> Tuning:
        """What retrieval with this embedder is built with; `reranker`: see `open_reranker`."""
        reranking = Reranking(reranker, settings.rerank_depth, reranker.model_name) if reranker else None
        return Tuning(self.thresholds, Filters(settings.language, settings.release), reranking)

    async def close(self) -> None:
        await self.embedder.close()
        await self.vectors.close()


def least_similarity(settings: PipelineSettings, thresholds: Thresholds) -> float:
    """PROMPTAI_MIN_SIMILARITY where it is set, else what the embedder brings."""
    return settings.min_similarity if "min_similarity" in settings.model_fields_set else thresholds.min_similarity


def open_reranker(settings: PipelineSettings) -> CrossEncoderReranker | None:
    """PROMPTAI_RERANKER, if it is set; nothing is loaded yet."""
    return CrossEncoderReranker(settings.reranker) if settings.reranker else None


async def open_embedding(model: str, settings: PipelineSettings, beside: ChromaVectors | None = None) -> Embedding:
    """An embedder by name or folder, with its index. Raises `IndexUnavailable`."""
    embedder = SentenceTransformerEmbedder(model)
    folder, fingerprint = await asyncio.to_thread(lambda: (find(model), embedder.fingerprint))
    thresholds = await asyncio.to_thread(read_thresholds, folder)
    place = settings.chroma_url or settings.data_dir / "chroma"
    vectors = beside.beside(fingerprint) if beside else ChromaVectors(place, fingerprint)
    return Embedding(model, folder, fingerprint, embedder, vectors, thresholds)


async def open_serving(registry: Embedders, settings: PipelineSettings) -> Embedding:
    """The promoted embedder, or EMBEDDING_MODEL where none was. Raises `IndexUnavailable`, `CatalogUnavailable`."""
    serving = await registry.serving()
    if serving is None:
        return await open_embedding(settings.embedding_model, settings)
    return await open_promoted(serving, settings)


async def open_promoted(
    known: KnownEmbedder, settings: PipelineSettings, beside: ChromaVectors | None = None
) -> Embedding:
    """One of the record, checked to be what it was. Raises `IndexUnavailable`."""
    model = await asyncio.to_thread(_location, known, settings)
    found = await open_embedding(model, settings, beside)
    if found.fingerprint != known.fingerprint:
        await found.close()
        raise IndexUnavailable(
            f"{model} is not the embedder that wrote the index: its fingerprint is {found.fingerprint}, not"
            f" {known.fingerprint}. Put the old folder back, or promote the new one, or run"
            " `promptai embedder forget --all` and `promptai sync` to return to EMBEDDING_MODEL."
        )
    return replace(found, model=known.model)


def keep_copy(model: str, fingerprint: str, settings: PipelineSettings) -> None:
    """Copy an embedder's folder into the data folder, whole or not at all; a name on the hub needs none.

    Blocking. Raises `IndexUnavailable`.
    """
    folder = Path(model)
    if not folder.is_dir():
        return
    place = settings.data_dir / FOLDER / fingerprint
    if (place / folder.name).is_dir():
        return
    unfinished = place.with_name(f"{fingerprint}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        shutil.copytree(folder, unfinished / folder.name)
        unfinished.replace(place)
    except OSError as exc:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise IndexUnavailable(
            f"The embedder cannot be copied to {place} ({exc.strerror or exc}). Make room and try again; nothing was changed."
        ) from exc


def forget_copies(settings: PipelineSettings, fingerprints: tuple[str, ...]) -> None:
    """Remove the copies of these. Blocking."""
    for fingerprint in fingerprints:
        shutil.rmtree(settings.data_dir / FOLDER / fingerprint, ignore_errors=True)


class Serves(Protocol):
    """What is checked: `bot.app.Core`."""

    @property
    def embedding(self) -> Embedding: ...

    @property
    def engine(self) -> Engine: ...


class IndexCheck:
    """Readiness of the vector index: that it answers, and that the embedder in service wrote it."""

    def __init__(self, core: Serves) -> None:
        self._core = core
        self._written = ""
        """An embedder known to have written its index: it is not asked about again."""

    async def check(self) -> None:
        """Raises `IndexUnavailable` where all vectors are another embedder's: every question would be abstained from."""
        embedding = self._core.embedding
        await embedding.vectors.check()
        if self._written == embedding.fingerprint:
            return
        written = await Embedders(self._core.engine).written_by()
        if written and embedding.fingerprint not in written:
            other = max(written, key=lambda each: written[each])
            raise IndexUnavailable(
                f"The index was written by {other}, and the embedder is {embedding.fingerprint}: no passage can be found by"
                " its meaning, and questions get no answers. Run `promptai sync`, or set EMBEDDING_MODEL back."
            )
        self._written = embedding.fingerprint if written else ""


async def follow(adopt: Callable[[], Awaitable[bool]], every: float = EVERY) -> None:
    """Adopt what any process promotes, for ever; what cannot be opened now is tried again."""
    while True:
        await asyncio.sleep(every)
        try:
            await adopt()
        except PipelineError as error:
            log.error("embedder_not_adopted", error=str(error))


def _location(known: KnownEmbedder, settings: PipelineSettings) -> str:
    """Where it is: the copy in this data folder, or the folder or name that was promoted. Blocking."""
    place = settings.data_dir / FOLDER / known.fingerprint
    if place.is_dir() and (copies := list(place.iterdir())):
        return str(copies[0])
    if Path(known.model).is_absolute() and not Path(known.model).is_dir():
        raise IndexUnavailable(
            f"The embedder that was promoted is gone: {known.model}. Put its folder back ({known.fingerprint}), or run"
            " `promptai embedder forget --all` and `promptai sync` to return to EMBEDDING_MODEL."
        )
    return known.model
