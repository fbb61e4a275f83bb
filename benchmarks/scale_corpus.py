"""A catalog and both indexes with as many passages as wanted, made from a few real ones."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.corpus import open_database, read_lines
from pipeline.knowledge import Catalog
from pipeline.knowledge.passages import Splitter
from pipeline.knowledge.sections import sections
from pipeline.knowledge.tables import PassageRow
from pipeline.retrieval import ChromaVectors, SentenceTransformerEmbedder, TantivyKeywords
from pipeline.retrieval.protocols import Vectors
from pipeline.types import SHARED, Document, Passage

TENANT = "acme"
OWN = 10
"""One passage in so many is the tenant's own, the others are shared."""

NOISE = 0.35
"""Length of what is added to a real vector (length 1) in a random direction: cosine .94 to the real one."""

_PORTION = 5_000


@dataclass
class World:
    """What retrieval stands on, and the real questions."""

    engine: AsyncEngine
    catalog: Catalog
    vectors: ChromaVectors
    keywords: TantivyKeywords

    async def close(self) -> None:
        await self.vectors.close()
        await self.keywords.close()
        await self.engine.dispose()


async def real_passages(
    embedder: SentenceTransformerEmbedder, source: Path, count: int, cache: Path
) -> tuple[list[Passage], Vectors]:
    """Some `count` passages of the corpus and their vectors; the vectors are kept in `cache`."""
    splitter, passages = Splitter(embedder), list[Passage]()
    records = read_lines(source / "corpus.jsonl")
    random.Random(0).shuffle(records)
    for number, record in enumerate(records):
        text = f"## {record['section']}\n\n{record['text']}"
        document = Document(f"corpus:{number}", SHARED, "corpus", record["page"], record["title"], text, "")
        passages += splitter.split_sections(document, sections(text))
        if len(passages) >= count:
            break
    kept = cache / f"real-{count}.npy"
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        np.save(kept, await embedder.embed([passage.embedded_text for passage in passages]))
    return passages, np.load(kept)


async def build(folder: Path, fingerprint: str, real: Sequence[Passage], rows: Vectors, count: int) -> World:
    """Open the world in `folder`; where there is none yet, write `count` passages into it."""
    done = folder / "done.json"
    fresh = not done.is_file()
    engine = await open_database(folder)
    world = World(
        engine,
        Catalog(engine),
        ChromaVectors(folder / "chroma", fingerprint, timeout=600),
        TantivyKeywords(folder / "keywords"),
    )
    if fresh:
        for tenant in (SHARED, TENANT):
            for portion in _portions(tenant, real, rows, count):
                await _write(world, tenant, *portion, fingerprint)
        done.write_text(json.dumps({"passages": count}))
    return world


def _portions(
    tenant: str, real: Sequence[Passage], rows: Vectors, count: int
) -> Iterator[tuple[list[Passage], Vectors]]:
    """Real passages first; then the same with their sentences in another order and vectors moved a little."""
    numbers = [number for number in range(count) if (number % OWN == 0) == (tenant == TENANT)]
    generator, shuffler = np.random.default_rng(len(tenant)), random.Random(len(tenant))
    for start in range(0, len(numbers), _PORTION):
        part = numbers[start : start + _PORTION]
        noise = generator.normal(size=(len(part), rows.shape[1])).astype(np.float32)
        noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
        noise[[number < len(real) for number in part]] = 0
        moved = rows[[number % len(real) for number in part]] + noise
        yield (
            [_variant(real, number, tenant, shuffler) for number in part],
            moved / np.linalg.norm(moved, axis=1, keepdims=True),
        )


def _variant(real: Sequence[Passage], number: int, tenant: str, shuffler: random.Random) -> Passage:
    original = real[number % len(real)]
    words = original.text.split(" ")
    if number >= len(real):
        cut = shuffler.randrange(len(words))
        words = [*words[cut:], *words[:cut], str(number)]
    return replace(
        original,
        id=f"{number:032x}",
        document_id=f"corpus:{number // 7}",
        tenant=tenant,
        text=" ".join(words),
        position=number % 7,
    )


async def _write(world: World, tenant: str, passages: list[Passage], rows: Vectors, fingerprint: str) -> None:
    common = {"source": "corpus", "sync": "s", "visible": True, "indexed_by": fingerprint}
    columns = set(PassageRow.__table__.columns.keys())
    values = [
        {name: value for name, value in asdict(each).items() if name in columns}
        | {"heading_path": list(each.heading_path)}
        | common
        for each in passages
    ]
    async with world.engine.begin() as connection:
        await connection.execute(insert(PassageRow), values)
    await asyncio.gather(
        world.vectors.upsert(tenant, [each.id for each in passages], rows), world.keywords.upsert(tenant, passages)
    )
