"""What is searched in an evaluation: what has been synced, or a folder or JSON lines read for this run alone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from pipeline.answering import Retriever
from pipeline.errors import DocumentUnreadable, EvaluationError
from pipeline.evaluation.cases import Case, GoldSection, read_records, refuse
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.knowledge.catalog import Catalog
from pipeline.knowledge.convert import convert
from pipeline.knowledge.cutting import Measure
from pipeline.knowledge.passages import Splitter
from pipeline.knowledge.sections import Section
from pipeline.knowledge.sources import DirectorySource
from pipeline.retrieval.keywords import TantivyKeywords
from pipeline.retrieval.memory import MemoryVectors, MemoryVisibility
from pipeline.retrieval.protocols import KeywordIndex, VectorIndex
from pipeline.retrieval.tuning import Tuning
from pipeline.retrieval.weights import Weights
from pipeline.types import SHARED, Document, Passage

_PLAIN = Tuning()


class Corpus(Protocol):
    """Documents with their indexes."""

    @property
    def fingerprint(self) -> str:
        """Equal for equal documents, embedders and tunings."""

    @property
    def tuning(self) -> Tuning:
        """What its retrievers are built with."""

    async def pages(self) -> Sequence[str]:
        """Locations of all documents."""

    async def passages(self, page: str) -> Sequence[Passage]:
        """What a document was cut into; empty for one that is not there."""

    def retriever(self, weights: Weights, *, reranked: bool = True) -> Retriever: ...


class MemoryCorpus:
    """Passages given as they are, indexed for this process alone."""

    def __init__(
        self,
        passages: Sequence[Passage],
        embedder: CachingEmbedder,
        keywords: KeywordIndex,
        tuning: Tuning = _PLAIN,
    ) -> None:
        """`tuning`: that in service, since what is measured is to be what would serve."""
        self._embedder = embedder
        self.tuning = tuning
        self._keywords = keywords
        self._vectors = MemoryVectors()
        self._visibility = MemoryVisibility(passages)
        self._passages = passages
        self._pages: dict[str, list[Passage]] = {}
        for passage in passages:
            self._pages.setdefault(page_of(passage), []).append(passage)
        self.fingerprint = _hash(embedder.fingerprint, *tuning.names, *(passage.id for passage in passages))

    async def index(self) -> None:
        """Embed and index everything; needed once, before the first search."""
        rows = await self._embedder.embed([passage.embedded_text for passage in self._passages])
        await self._vectors.upsert(SHARED, [passage.id for passage in self._passages], rows)
        await self._keywords.upsert(SHARED, self._passages)

    async def pages(self) -> Sequence[str]:
        return tuple(self._pages)

    async def passages(self, page: str) -> Sequence[Passage]:
        return self._pages.get(page, ())

    def retriever(self, weights: Weights, *, reranked: bool = True) -> Retriever:
        return self.tuning.retriever(
            self._embedder, self._vectors, self._keywords, self._visibility, weights, reranked=reranked
        )


class SyncedCorpus:
    """What `tenant` may see of the data folder's documents."""

    def __init__(
        self,
        catalog: Catalog,
        embedder: CachingEmbedder,
        vectors: VectorIndex,
        keywords: KeywordIndex,
        *,
        documents: Mapping[str, str],
        fingerprint: str,
        tenant: str,
        tuning: Tuning = _PLAIN,
    ) -> None:
        self._catalog = catalog
        self.tuning = tuning
        self._embedder = embedder
        self._vectors = vectors
        self._keywords = keywords
        self._documents = documents
        self._tenant = tenant
        self.fingerprint = fingerprint

    @classmethod
    async def open(
        cls,
        catalog: Catalog,
        embedder: CachingEmbedder,
        vectors: VectorIndex,
        keywords: KeywordIndex,
        tenant: str,
        tuning: Tuning = _PLAIN,
    ) -> SyncedCorpus:
        """Raises `EvaluationError` if nothing has been synced."""
        found = [*await catalog.documents(SHARED), *await catalog.documents(tenant)]
        if not found:
            raise EvaluationError("Nothing has been synced: run `promptai sync docs/` first, or give --corpus.")
        versions = [f"{document.id} {document.version} {document.updated_at.isoformat()}" for document in found]
        return cls(
            catalog,
            embedder,
            vectors,
            keywords,
            documents={document.location: document.id for document in found},
            fingerprint=_hash(embedder.fingerprint, *tuning.names, *versions),
            tenant=tenant,
            tuning=tuning,
        )

    async def pages(self) -> Sequence[str]:
        return tuple(self._documents)

    async def passages(self, page: str) -> Sequence[Passage]:
        if page not in self._documents:
            return ()
        document = await self._catalog.document((self._tenant, SHARED), self._documents[page])
        return Splitter(self._embedder).split(document) if document else ()

    def retriever(self, weights: Weights, *, reranked: bool = True) -> Retriever:
        return self.tuning.retriever(
            self._embedder, self._vectors, self._keywords, self._catalog, weights, reranked=reranked
        )


async def read_corpus(path: Path, embedder: CachingEmbedder, folder: Path, tuning: Tuning = _PLAIN) -> MemoryCorpus:
    """A folder of documents, or JSON lines of sections (page, title, section, text; id is the section's anchor).

    `folder`: an empty one for the keyword index. Raises `EvaluationError`, `SourceNotFound`.
    """
    passages = await read_passages(path, embedder)
    corpus = MemoryCorpus(passages, embedder, TantivyKeywords(folder), tuning)
    await corpus.index()
    return corpus


async def read_passages(path: Path, measure: Measure) -> list[Passage]:
    """The passages of a folder of documents or of JSON lines, as `read_corpus` takes them; nothing is embedded."""
    splitter = Splitter(measure)
    if path.suffix == ".jsonl":
        passages = await asyncio.to_thread(_from_records, read_records(path, ("page",)), splitter)
    else:
        passages = [passage async for passage in _from_folder(DirectorySource(path), splitter)]
    if not passages:
        raise EvaluationError(f"{path} holds no documents that can be read.")
    return passages


async def with_known_gold(cases: Sequence[Case], corpus: Corpus) -> tuple[Case, ...]:
    """The cases with their gold pages as the corpus names them. Raises `EvaluationError` listing gold it does not have.

    A page may be named by the end of its location, as where documents were synced with `--base-url`.
    """
    pages = await corpus.pages()
    wanted = {page for case in cases for page in (*case.pages, *(section.page for section in case.sections))}
    named = {page: location for page in wanted if (location := _find(page, pages))}
    lacking = [f"{case.id} {page}" for case in cases for page in case.pages if page not in named]
    for case in cases:
        for section in case.sections:
            found = await corpus.passages(named[section.page]) if section.page in named else ()
            if section.page in named and not any(in_section(passage, section.name) for passage in found):
                lacking.append(f"{case.id} {section.page} > {section.name}")
    refuse("Gold that is not in the corpus", lacking)
    return tuple(
        replace(
            case,
            pages=tuple(named[page] for page in case.pages),
            sections=tuple(GoldSection(named[section.page], section.name) for section in case.sections),
        )
        for case in cases
    )


def page_of(passage: Passage) -> str:
    """The location of the passage's document."""
    return passage.location.partition("#")[0]


def in_section(passage: Passage, name: str) -> bool:
    """Whether a passage of the right page belongs to the section called, or anchored, `name`."""
    return name in passage.heading_path or passage.location.partition("#")[2] == name


def _find(page: str, pages: Sequence[str]) -> str | None:
    if page in pages:
        return page
    ends = [location for location in pages if location.endswith(f"/{page}")]
    return ends[0] if len(ends) == 1 else None


async def _from_folder(source: DirectorySource, splitter: Splitter) -> Any:
    async for file in source.files():
        try:
            converted = convert(await asyncio.to_thread(file.load), file.name)
        except DocumentUnreadable as exc:
            raise EvaluationError(f"{file.location}: {exc}.") from exc
        document = Document(
            f"{source.name}:{file.location}", SHARED, source.name, file.location, converted.title, converted.text, ""
        )
        for passage in await asyncio.to_thread(splitter.split, document):
            yield passage


def _from_records(records: Iterable[Mapping[str, Any]], splitter: Splitter) -> list[Passage]:
    pages: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        pages.setdefault(str(record["page"]), []).append(record)
    passages: list[Passage] = []
    for page, parts in pages.items():
        document = Document(f"corpus:{page}", SHARED, "corpus", page, str(parts[0].get("title", page)), "", "")
        sections = [
            Section((str(part["section"]),) if part.get("section") else (), part.get("id"), str(part["text"]))
            for part in parts
            if str(part.get("text", "")).strip()
        ]
        passages += splitter.split_sections(document, sections)
    return passages


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
