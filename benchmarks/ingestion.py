"""How much of the embedder's own speed is left when documents are read, cut, embedded and written to all indexes.

    python -m benchmarks.ingestion [FOLDER] [--pages N] [--rounds N] [--json FILE]

FOLDER holds `corpus.jsonl` (page, title, section, text) or Markdown files; without it the example's pages are taken.

`raw` is `SentenceTransformer.encode` on the texts of all passages, sorted by length, in batches of 32 and of 64, and
nothing else, on all cores: no files, no tokens counted, nothing stored. `sync` is what `promptai sync` does with the same pages: an
empty data folder, SQLite, Chroma and tantivy on disk. Both are warm and take turns in one process, so that what else the
machine does hits both. The ratio is raw's seconds (the faster batch size's) by sync's, in each round; that of processor
time, children's included, is told beside it, since other load on the machine moves it less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import torch

from benchmarks.corpus import EXAMPLE, open_database, stored_passages, write_pages
from pipeline.knowledge import Catalog, DirectorySource, Syncer
from pipeline.retrieval import ChromaVectors, SentenceTransformerEmbedder, TantivyKeywords
from pipeline.types import SHARED

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCHES = (32, 64)
BOUND = 0.85


@dataclass(frozen=True)
class Round:
    """Seconds of one turn of each."""

    raw: dict[int, float]
    """By batch size."""
    sync: float
    passages: int
    raw_processor: dict[int, float]
    """Seconds of processor time, by batch size."""
    sync_processor: float

    @property
    def ratio(self) -> float:
        """Sync's throughput as a share of the raw one's."""
        return min(self.raw.values()) / self.sync

    @property
    def processor_ratio(self) -> float:
        """The same of processor time."""
        return min(self.raw_processor.values()) / self.sync_processor


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


async def sync(embedder: SentenceTransformerEmbedder, pages: Path, data: Path) -> tuple[float, float, list[str]]:
    """Seconds of a first sync of `pages` by the clock and of the processor, and the texts that it embedded."""
    engine = await open_database(data)
    vectors, keywords = ChromaVectors(data / "chroma", embedder.fingerprint), TantivyKeywords(data / "keywords")
    await vectors.check()  # loads Chroma
    syncer = Syncer(Catalog(engine), embedder, vectors, keywords)
    started, used = time.perf_counter(), processor_seconds()
    report = await syncer.sync(DirectorySource(pages), tenant=SHARED)
    seconds, used = time.perf_counter() - started, processor_seconds() - used
    texts = [passage.embedded_text for passage in await stored_passages(engine)]
    assert report.embedded == len(texts)
    assert not report.failed
    await vectors.close()
    await keywords.close()
    await engine.dispose()
    return seconds, used, texts


def encode(model: SentenceTransformer, texts: list[str], batch: int) -> tuple[float, float]:
    """Seconds of embedding `texts`, and nothing else, by the clock and of the processor."""
    # in this thread: those that the product encodes in have one core each
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    ordered = sorted(texts, key=len)
    started, used = time.perf_counter(), processor_seconds()
    model.encode(ordered, batch_size=batch, normalize_embeddings=True, show_progress_bar=False)
    return time.perf_counter() - started, processor_seconds() - used


async def measure(source: Path, limit: int | None, rounds: int) -> list[Round]:
    embedder = SentenceTransformerEmbedder()
    await embedder.embed(["warm"] * 64)
    model = embedder._model()  # the very model, loaded once
    found: list[Round] = []
    with tempfile.TemporaryDirectory() as scratch:
        pages = Path(scratch) / "pages"
        count = write_pages(source, pages, limit)
        for number in range(rounds):
            seconds, used, texts = await sync(embedder, pages, Path(scratch) / f"data-{number}")
            raw = {batch: await asyncio.to_thread(encode, model, texts, batch) for batch in BATCHES}
            clock, processor = ({batch: each[which] for batch, each in raw.items()} for which in (0, 1))
            found.append(Round(clock, seconds, len(texts), processor, used))
            print(f"round {number + 1}: {count} pages, {found[-1]}", flush=True)
    await embedder.close()
    return found


def print_table(rounds: list[Round]) -> None:
    print(
        "\n| round | passages | raw, batches of 32 | of 64 | sync | passages/s | share of raw | of its processor time |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for number, each in enumerate(rounds, start=1):
        print(
            f"| {number} | {each.passages} | {each.raw[32]:.1f} s | {each.raw[64]:.1f} s | {each.sync:.1f} s"
            f" | {each.passages / each.sync:.0f} | {each.ratio:.2f} | {each.processor_ratio:.2f} |"
        )
    ratios = [each.ratio for each in rounds]
    print(
        f"\nMedian share {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f});"
        f" the bound is {BOUND}. {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()},"
        f" load {os.getloadavg()[0]:.1f}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=EXAMPLE)
    parser.add_argument("--pages", type=int, help="at most so many")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors only
    rounds = asyncio.run(measure(options.folder, options.pages, options.rounds))
    print_table(rounds)
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in rounds], indent=1))


if __name__ == "__main__":
    main()
