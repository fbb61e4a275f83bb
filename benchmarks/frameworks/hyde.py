"""promptai beside LlamaIndex's and Haystack's HyDE: the same model server, embedder, passages and vector database.

    make bench-hyde CORPUS=FOLDER
    python -m benchmarks.frameworks.hyde FOLDER --python .cache/frameworks/bin/python [--pages N] [--scale N] [--cache FOLDER]

FOLDER holds `corpus.jsonl` and `dev-questions.jsonl` with `closed_book` drafts. promptai syncs the pages; the others index
the same passages with the same vectors, each in a Chroma collection of its own. All ask one model server over HTTP, in
their own words (`replay.py`): asked for a draft or a hypothetical document it replays the strong closed-book draft, asked
for an answer it says one of a fixed shape, at the stated pace of a 70B on four GPUs (`benchmarks/waiting_server.py`), divided by
`--scale`. Times are scaled back: while the server computes, its stated seconds count, else the machine's own. "Of it the
server" is the same on a busy machine; what a system itself does is told in processor time too, which load hardly moves.

Each system runs alone, in a process of its own, warm, one question at a time, and answers from five passages. nDCG@10 and
recall@5 on pages; a page stands where its best passage does. Differences: 95%, paired bootstrap over questions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from benchmarks.corpus import open_database, read_lines, stored_passages
from benchmarks.frameworks.hyde_common import WARM
from benchmarks.frameworks.hyde_report import Row, row, table
from benchmarks.frameworks.model_server import ModelServer
from benchmarks.frameworks.replay import Replay
from benchmarks.waiting_server import A100, H100
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.knowledge import Catalog, Syncer
from pipeline.knowledge.sources.jsonl import JsonlSource
from pipeline.retrieval import ChromaVectors, SentenceTransformerEmbedder, TantivyKeywords
from pipeline.retrieval.models import find
from pipeline.types import SHARED

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OURS, *OTHERS = ("hyde_promptai.py", "hyde_llamaindex.py", "hyde_haystack.py")
GPUS = {"A100": A100, "H100": H100}


def choose_pages(source: Path, limit: int | None) -> list[dict[str, Any]]:
    """The records of the pages that questions ask for and of so many others that `limit` pages are reached."""
    records = read_lines(source / "corpus.jsonl")
    gold = {question["page"] for question in read_lines(source / "dev-questions.jsonl")}
    pages = sorted(dict.fromkeys(record["page"] for record in records), key=lambda page: page not in gold)
    kept = set(pages[:limit])
    return [record for record in records if record["page"] in kept]


async def prepare(records: Sequence[dict[str, Any]], inputs: Path, cache: Path | None) -> int:
    """Sync the pages as the product does, and write its passages and their vectors for the others; returns how many."""
    (inputs / "corpus.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    real = SentenceTransformerEmbedder()
    embedder = CachingEmbedder(real, cache)
    index = inputs / "index"
    engine = await open_database(index)
    vectors = ChromaVectors(index / "chroma", embedder.fingerprint, timeout=300)  # the first call imports Chroma
    keywords = TantivyKeywords(index / "keywords")
    syncer = Syncer(Catalog(engine), embedder, vectors, keywords)
    await syncer.sync(JsonlSource(inputs / "corpus.jsonl", name="corpus"), tenant=SHARED)
    passages = await stored_passages(engine)
    np.save(inputs / "vectors.npy", await embedder.embed([passage.embedded_text for passage in passages]))
    embedder.save()
    lines = [
        json.dumps({"id": each.id, "page": each.location.partition("#")[0], "text": each.embedded_text})
        for each in passages
    ]
    (inputs / "passages.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for part in (real, vectors, keywords):
        await part.close()
    await engine.dispose()
    return len(passages)


async def run_one(script: str, python: str, inputs: Path, url: str) -> list[dict[str, Any]]:
    """What the variants of one system did. Raises `RuntimeError` where its process failed."""
    out = inputs / f"{script}.json"
    scratch = inputs / f"{script}.index"
    scratch.mkdir()
    arguments = {
        "passages": inputs / "passages.jsonl",
        "vectors": inputs / "vectors.npy",
        "questions": inputs / "questions.jsonl",
        "index": inputs / "index",
        "scratch": scratch,
        "out": out,
        "model": find("all-MiniLM-L6-v2"),
        "url": url,
    }
    quiet = {"ANONYMIZED_TELEMETRY": "False", "HAYSTACK_TELEMETRY_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    environment = os.environ | quiet | ({"PYTHONPATH": str(ROOT)} if script == OURS else {})
    flags = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    process = await asyncio.create_subprocess_exec(python, str(HERE / script), *flags, env=environment)
    if await process.wait():
        raise RuntimeError(f"{script} failed with exit status {process.returncode}")
    variants: list[dict[str, Any]] = json.loads(out.read_text())
    return variants


async def compare(source: Path, options: argparse.Namespace) -> list[Row]:
    questions = read_lines(source / "dev-questions.jsonl")
    drafts = {each["id"]: each["closed_book"][options.drafts] for each in questions}
    replay = Replay(
        {each["id"]: each["question"] for each in questions} | {"warm": WARM},
        drafts | {"warm": "Begin with the first page of the documentation."},
    )
    with tempfile.TemporaryDirectory() as scratch:
        inputs = Path(scratch)
        (inputs / "questions.jsonl").write_text("\n".join(map(json.dumps, questions)), encoding="utf-8")
        count = await prepare(choose_pages(source, options.pages), inputs, options.cache)
        print(f"{count} passages, {len(questions)} questions, drafts by {options.drafts}", flush=True)
        async with ModelServer(replay, GPUS[options.gpus], options.scale) as server:
            gold = {each["id"]: each["page"] for each in questions}
            rows: list[Row] = []
            for script in (OURS, *OTHERS):
                variants = await run_one(
                    script, sys.executable if script == OURS else options.python, inputs, server.url
                )
                rows += [row(variant, gold, server) for variant in variants]
                print("\n".join(table(rows)[-len(variants) :]), flush=True)  # what an interrupted run leaves
    if server.unrecognised:
        raise RuntimeError(f"The model server refused {len(server.unrecognised)} prompts: {server.unrecognised[0]}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", required=True, help="of the environment with the other frameworks")
    parser.add_argument("--pages", type=int, help="at most so many")
    parser.add_argument("--scale", type=float, default=4.0, help="how many times faster than stated the server runs")
    parser.add_argument("--gpus", choices=GPUS, default="H100", help="four of them serve the 70B")
    parser.add_argument("--drafts", default="gpt-4-1106", help="whose closed-book drafts are replayed")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors between runs")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # errors only
    rows = asyncio.run(compare(options.folder, options))
    print("\n" + "\n".join(table(rows)) + "\n")
    print("\n".join(f"- {each.name}: {each.settings}." for each in rows))
    print(
        f"\n70B on 4 x {options.gpus}, scale {options.scale:g}; {os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}."
    )


if __name__ == "__main__":
    main()
