"""promptai beside LlamaIndex and Haystack: the same pages, embedder and Chroma, each as its documentation recommends.

    make bench-frameworks CORPUS=FOLDER
    python -m benchmarks.frameworks.compare FOLDER --python .cache/frameworks/bin/python [--pages N] [--rounds N]

FOLDER holds `corpus.jsonl` and `dev-questions.jsonl`. With `--pages N`: all pages that questions ask for and so many
others that N are reached. Each framework runs alone, in a process of its own, warm before its clock starts; they take
turns, round by round. Ingestion: from the pages' texts to a Chroma collection on disk. Latency: one question at a time, 50
passages. nDCG@10 on pages; a page stands where its best passage does. Interval: 95%, bootstrap over questions.
Processor seconds are what other load on the machine hardly moves.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.corpus import read_lines
from benchmarks.retrieval import interval
from pipeline.retrieval.models import find

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCRIPTS = ("with_promptai.py", "with_llamaindex.py", "with_haystack.py")


def choose_pages(source: Path, limit: int | None) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """Pages as one Markdown text each, and the questions."""
    questions = read_lines(source / "dev-questions.jsonl")
    pages: dict[str, list[dict[str, Any]]] = {}
    for record in read_lines(source / "corpus.jsonl"):
        pages.setdefault(record["page"], []).append(record)
    gold = {question["page"] for question in questions}
    names = sorted(pages, key=lambda page: page not in gold)[:limit]
    texts = [
        {
            "page": page,
            "title": pages[page][0]["title"],
            "text": "\n\n".join(f"## {record['section']}\n\n{record['text']}" for record in pages[page]),
        }
        for page in names
    ]
    return texts, questions


def run_one(script: str, python: str, inputs: Path, scratch: Path) -> dict[str, Any]:
    """One turn of one framework."""
    scratch.mkdir()
    out = scratch.with_suffix(".json")
    quiet = {"ANONYMIZED_TELEMETRY": "False", "HAYSTACK_TELEMETRY_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    command = [python, str(HERE / script), "--pages", str(inputs / "pages.jsonl"), "--scratch", str(scratch)]
    command += ["--questions", str(inputs / "questions.jsonl"), "--model", str(find("all-MiniLM-L6-v2"))]
    environment = os.environ | quiet | ({"PYTHONPATH": str(ROOT)} if script == SCRIPTS[0] else {})
    subprocess.run([*command, "--out", str(out)], check=True, env=environment)
    result: dict[str, Any] = json.loads(out.read_text())
    return result


def compare(source: Path, python: str, limit: int | None, rounds: int) -> dict[str, list[dict[str, Any]]]:
    pages, questions = choose_pages(source, limit)
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        inputs = Path(scratch)
        (inputs / "pages.jsonl").write_text("\n".join(json.dumps(page) for page in pages), encoding="utf-8")
        (inputs / "questions.jsonl").write_text("\n".join(json.dumps(each) for each in questions), encoding="utf-8")
        print(f"{len(pages)} pages, {len(questions)} questions", flush=True)
        for number in range(rounds):
            for script in SCRIPTS if number % 2 == 0 else SCRIPTS[::-1]:
                own = sys.executable if script == SCRIPTS[0] else python
                result = run_one(script, own, inputs, inputs / f"{script}-{number}")
                found[script].append(result)
                print(f"round {number + 1}: {result['name']}, {result['ingest_seconds']:.0f} s", flush=True)
    return dict(found)


def print_table(found: dict[str, list[dict[str, Any]]]) -> None:
    generator = np.random.default_rng(0)
    print(
        "\n| | passages | ingestion | processor | passages/s | question p50 / p95 | processor p50 | nDCG@10 | 95% | R@5 |"
    )
    print("|" + "---|" * 10)
    for turns in found.values():
        first = turns[0]
        seconds = float(np.median([turn["ingest_seconds"] for turn in turns]))
        processor = float(np.median([turn["ingest_cpu_seconds"] for turn in turns]))
        times = np.concatenate([turn["latencies"] for turn in turns])
        own = np.median(np.concatenate([turn["latencies_cpu"] for turn in turns]))
        gains = np.array([1 / np.log2(rank + 1) if rank else 0.0 for rank in first["ranks"]])
        low, high = interval(gains, generator)
        recall = np.mean([rank is not None and rank <= 5 for rank in first["ranks"]])
        print(
            f"| {first['name']} {first['version']} | {first['passages']} | {seconds:.0f} s | {processor:.0f} s"
            f" | {first['passages'] / seconds:.1f} | {np.median(times):.0f} / {np.percentile(times, 95):.0f} ms"
            f" | {own:.0f} ms | {gains.mean():.3f} | {low:.3f} to {high:.3f} | {recall:.3f} |"
        )
    print()
    for turns in found.values():
        print(f"- {turns[0]['name']}: {turns[0]['settings']}.")
    print(f"\n{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", required=True, help="of the environment with the other frameworks")
    parser.add_argument("--pages", type=int, help="at most so many")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    print_table(compare(options.folder, options.python, options.pages, options.rounds))


if __name__ == "__main__":
    main()
