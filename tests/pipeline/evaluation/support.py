"""A small corpus with questions, and what an evaluation runs on, all in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.answering import AnsweringOptions
from pipeline.errors import ModelUnavailable
from pipeline.evaluation.cases import Case, GoldSection
from pipeline.evaluation.corpus import MemoryCorpus
from pipeline.evaluation.report import Report
from pipeline.evaluation.session import Models, Plan, arms_of, cases_of, evaluate
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.llm import ChatModel, Message
from pipeline.llm.scripted import Failure, Reply, ScriptedChatModel
from pipeline.retrieval import HashingEmbedder, MemoryKeywords
from pipeline.retrieval.tuning import Tuning
from pipeline.types import Passage
from tests.pipeline.retrieval.support import make_passage

TEXTS = {
    "alerts.md": ("Default window", "Quality alerts use a window of 5 minutes."),
    "export.md": ("File format", "The nightly export writes Parquet files."),
    "limits.md": ("Requests", "One key may send 180 requests a minute."),
    "roles.md": ("Owner", "The owner role may invite people and delete the account."),
}
QUESTIONS: tuple[dict[str, Any], ...] = (
    {
        "id": "q1", "question": "What is the window of quality alerts?", "kind": "direct",
        "gold_pages": ["alerts.md"], "gold_sections": [{"page": "alerts.md", "heading": "Default window"}],
        "reference_answer": "Quality alerts use a window of 5 minutes.",
    },
    {
        "id": "q2", "question": "Which files does the nightly export write?", "kind": "direct",
        "gold_pages": ["export.md"], "reference_answer": "The nightly export writes Parquet files.",
    },
    {
        "id": "q3", "question": "How many requests a minute for a key?", "kind": "detail",
        "gold_pages": ["limits.md"], "reference_answer": "180 requests a minute.",
    },
    {"id": "q4", "question": "Who founded the company?", "kind": "unanswerable", "reference_answer": "It is not said."},
)  # fmt: skip


def passages() -> list[Passage]:
    return [
        make_passage(text, tenant="shared", document=f"docs:{page}", path=(page.removesuffix(".md"), heading))
        for page, (heading, text) in TEXTS.items()
    ]


async def make_corpus(tuning: Tuning | None = None) -> MemoryCorpus:
    embedder = CachingEmbedder(HashingEmbedder(), None)
    corpus = MemoryCorpus(passages(), embedder, MemoryKeywords(), tuning or Tuning())
    await corpus.index()
    return corpus


def write_lines(file: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


def case(**values: Any) -> Case:
    """A case about alerts, with `values` in place of its own."""
    usual: dict[str, Any] = {
        "id": "q1", "question": "What is the window?", "pages": ("alerts.md",),
        "sections": (GoldSection("alerts.md", "Default window"),), "reference": "It is 5 minutes.",
    }  # fmt: skip
    return Case(**{**usual, **values})


def quoting(messages: Sequence[Message]) -> Reply:
    """Answers with the first passage of its prompt; knows nothing by itself."""
    quoted = [line[2:] for line in messages[-1].content.splitlines() if line.startswith("> ")]
    return f"{quoted[0].rstrip('.')} [1]." if quoted else "I know nothing of it."


def models(answerer: ChatModel | None = None, judge: ChatModel | None = None) -> Models:
    writer = ScriptedChatModel(["A draft about alerts, exports and requests."], name="writer")
    return Models({"": answerer or ScriptedChatModel(quoting, name="quoting")}, writer, writer, judge)


def down_for(words: str) -> ScriptedChatModel:
    """Fails where a question has these words."""
    return ScriptedChatModel(
        lambda messages: Failure(ModelUnavailable("down")) if words in messages[-1].content else quoting(messages),
        name="quoting",
    )


OPTIONS = AnsweringOptions(min_similarity=0.1)


async def run(
    plan: Plan, models: Models | None = None, tuning: Tuning | None = None, options: AnsweringOptions = OPTIONS
) -> Report:
    cases = cases_of(plan)
    return await evaluate(
        plan, cases, arms_of(plan, cases), corpus=await make_corpus(tuning), models=models,
        options=options, about={}, progress=lambda *_: None,
    )  # fmt: skip
