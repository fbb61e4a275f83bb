"""What a sync costs when nothing has changed, or one document has, beside reading and hashing the same files.

    python -m benchmarks.resync [FOLDER] [--documents N] [--rounds N]

FOLDER holds `corpus.jsonl` or Markdown files (default: the example's pages); they are repeated, each time with another
first line, until there are `--documents`. The hashing embedder and indexes in memory stand in for real ones (SQL is SQLite
on disk): an unchanged document is not embedded, and the indexes are only asked how much they hold. `read` opens, reads and
hashes (SHA-256) each file. The three take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import statistics
import tempfile
import time
from pathlib import Path

import structlog

from benchmarks.corpus import EXAMPLE, open_database, write_pages
from pipeline.knowledge import Catalog, DirectorySource, Syncer
from pipeline.retrieval import HashingEmbedder, MemoryKeywords, MemoryVectors
from pipeline.types import SHARED

BOUND = 3


def write_documents(source: Path, into: Path, count: int) -> None:
    """`count` pages of at most some 4,000 characters."""
    with tempfile.TemporaryDirectory() as scratch:
        write_pages(source, Path(scratch), count)
        texts = [file.read_text(encoding="utf-8") for file in sorted(Path(scratch).rglob("*.md"))]
    for number in range(count):
        place = into / f"{number % 40:02d}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:05d}.md").write_text(
            f"Copy {number}.\n\n{texts[number % len(texts)][:4000]}", encoding="utf-8"
        )


def read_all(folder: Path) -> float:
    started = time.perf_counter()
    for file in folder.rglob("*.md"):
        hashlib.sha256(file.read_bytes()).hexdigest()
    return time.perf_counter() - started


async def measure(source: Path, count: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder, data = Path(scratch) / "docs", Path(scratch) / "data"
        write_documents(source, folder, count)
        engine, embedder = await open_database(data), HashingEmbedder()
        syncer = Syncer(Catalog(engine), embedder, MemoryVectors(), MemoryKeywords())

        async def sync() -> tuple[float, int]:
            started = time.perf_counter()
            report = await syncer.sync(DirectorySource(folder), tenant=SHARED)
            return time.perf_counter() - started, report.embedded

        first, passages = await sync()
        print(f"{count} documents, {passages} passages, first sync {first:.0f} s\n", flush=True)
        print(
            "| round | read and hash | nothing changed | ratio | of processor time | one document changed | embedded |"
        )
        print("|---|---|---|---|---|---|---|")
        ratios = list[float]()
        changing = next(folder.rglob("*.md"))
        for number in range(rounds):
            used = [time.process_time()]
            read = await asyncio.to_thread(read_all, folder)
            used.append(time.process_time())
            nothing, embedded = await sync()
            used.append(time.process_time())
            assert embedded == 0
            changing.write_text(
                changing.read_text(encoding="utf-8") + f"\n\nAnother line {number}.\n", encoding="utf-8"
            )
            one, embedded = await sync()
            ratios.append(nothing / read)
            processor = (used[2] - used[1]) / (used[1] - used[0])
            print(
                f"| {number + 1} | {read:.2f} s | {nothing:.2f} s | {ratios[-1]:.1f} | {processor:.1f} | {one:.2f} s"
                f" | {embedded} |",
                flush=True,
            )
        print(f"\nMedian ratio {statistics.median(ratios):.1f}; the bound is {BOUND}. Load {os.getloadavg()[0]:.1f}.")
        await engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=EXAMPLE)
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors only
    asyncio.run(measure(options.folder, options.documents, options.rounds))


if __name__ == "__main__":
    main()
