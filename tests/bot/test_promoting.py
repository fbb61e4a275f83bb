"""`promptai adapter promote`: a better adapter is put in service, any other is refused, and both leave a record."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bot import promoting
from bot.errors import PromotionError
from bot.parts import open_store
from bot.promoting import Request, promote
from bot.promotion import Outcome, Promotion
from bot.settings import BotSettings
from bot.store import SqlPromotions
from pipeline.errors import TrainingError
from pipeline.evaluation.corpus import Corpus, MemoryCorpus
from pipeline.evaluation.promotion import RANKING, WORDS
from pipeline.evaluation.session import Plan
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.llm import Message
from pipeline.retrieval import HashingEmbedder, MemoryKeywords
from pipeline.retrieval.thresholds import Thresholds
from pipeline.retrieval.tuning import Tuning
from pipeline.settings import PipelineSettings
from pipeline.training.rows import Provenance, Row, Skill, file_hash, write_rows
from pipeline.types import Role
from tests.fakes.model_server import ModelServerFake, Script, Stream
from tests.fakes.tiny_llama import write_adapter
from tests.pipeline.evaluation.support import write_lines
from tests.pipeline.retrieval.support import make_passage

TERMS = (
    "rebuffering",
    "bitrate",
    "startup",
    "rendition",
    "manifest",
    "segment",
    "latency",
    "playhead",
    "codec",
    "beacon",
)
"""Each has a page; the questions ask in other words."""
ASKED = {f"What is the thing that people call number {at}?": term for at, term in enumerate(TERMS)}


def remembering(body: Mapping[str, Any]) -> Stream:
    """Drafts and answers as one that knows the documentation: it has the term that a question means."""
    text = body["messages"][-1]["content"]
    question = text.rpartition("Question: ")[2]
    term = ASKED.get(question, "nothing of it")
    return Stream(f"{question} It is {term}, as page {term} says.")


def vague(body: Mapping[str, Any]) -> Stream:
    """Drafts and answers as one that knows nothing: it repeats the question."""
    return Stream(body["messages"][-1]["content"].rpartition("Question: ")[2][:40])


def quoting(body: Mapping[str, Any]) -> Stream:
    """Answers with its first passage."""
    text = body["messages"][-1]["content"]
    return Stream(text.partition("> ")[2].partition("\n")[0] + " [1]" if "> " in text else "I know nothing of it.")


def failing(body: Mapping[str, Any]) -> Stream:
    """Served, and no better than the base: it says the same in other letters."""
    return Stream(body["messages"][-1]["content"].rpartition("Question: ")[2][:39])


@dataclass
class Bench:
    """What promotions run on: documents, questions, an adapter's folder, a database."""

    folder: Path
    adapter: Path
    questions: Path
    thresholds: Thresholds = field(default_factory=Thresholds)
    """The embedder's in service."""

    def settings(self, url: str, **values: str) -> PipelineSettings:
        places = {"PROMPTAI_DATA_DIR": str(self.folder / "data"), "PROMPTAI_ADAPTERS": f"docs={self.adapter}"}
        return PipelineSettings(_env_file=None, MODEL_URL=url, **places, **values)  # type: ignore[call-arg,arg-type]

    def request(self, role: Role = Role.DRAFT, **changes: Any) -> Request:
        plan = Plan(self.questions, Path(), retrieval_only=role is Role.DRAFT)
        return replace(Request("docs", role, plan, corpus=Path("docs")), **changes)

    async def promote(self, adapter: Script, request: Request, **values: str) -> Promotion:
        async with ModelServerFake(vague, adapters={"docs": adapter}) as fake:
            promotion, _ = await promote(request, BotSettings(_env_file=None), self.settings(fake.url, **values))  # type: ignore[call-arg]
        return promotion

    async def recorded(self) -> list[Promotion]:
        async with open_store(self.settings("http://127.0.0.1:1")) as (engine, _):
            return list(await SqlPromotions(engine).all())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    @asynccontextmanager
    async def open_corpus(*_: object) -> AsyncIterator[tuple[Corpus, CachingEmbedder]]:
        embedder = CachingEmbedder(HashingEmbedder(), None)
        passages = [
            make_passage(
                f"It is {term}, as page {term} says.", tenant="shared", document=f"docs:{term}.md", path=(term,)
            )
            for term in TERMS
        ]
        corpus = MemoryCorpus(passages, embedder, MemoryKeywords(), Tuning(found.thresholds))
        await corpus.index()
        yield corpus, embedder

    questions = [
        {"id": f"q{at}", "question": asked, "gold_pages": [f"{term}.md"], "reference_answer": f"It is {term}."}
        for at, (asked, term) in enumerate(ASKED.items())
    ]
    found = Bench(tmp_path, write_adapter(tmp_path / "docs"), write_lines(tmp_path / "held-out.jsonl", questions))
    monkeypatch.setattr(promoting, "open_corpus", open_corpus)
    return found


def write_data(folder: Path, question: str, *, adapter: Path | None = None) -> Path:
    """Training data of one question; and a manifest that says so beside the adapter."""
    folder.mkdir()
    prompt, completion = (Message("user", question),), (Message("assistant", "It is a thing."),)
    row = Row(prompt, completion, Skill.DRAFT, "heading", Provenance("doc", (), "v", "rule"))
    files = folder / "train.jsonl", folder / "held-out.jsonl"
    for file in files:
        write_rows(file, [row])
    if adapter is not None:
        (adapter / "manifest.json").write_text(json.dumps({"data": file_hash(*files)}))
    return folder


async def test_a_drafter_that_finds_more_pages_beyond_chance_is_promoted(bench: Bench) -> None:
    data = write_data(bench.folder / "rows", "How are invoices paid?", adapter=bench.adapter)
    promotion = await bench.promote(remembering, bench.request(data=(data,)))
    assert promotion.outcome is Outcome.PROMOTED
    assert (promotion.adapter, promotion.replaces, promotion.reason) == ("docs", "tgi", "")
    (ranking, hybrid) = promotion.figures["figures"]
    assert (ranking["metric"], ranking["against"], hybrid["against"]) == (RANKING, "in-service", "rag")
    assert ranking["low"] > 0.1
    assert promotion.data_hash == file_hash(data / "train.jsonl", data / "held-out.jsonl")
    assert [replace(kept, id=0, figures={}) for kept in await bench.recorded()] == [replace(promotion, figures={})]


async def test_a_drafter_that_is_not_better_is_refused_on_the_record(bench: Bench) -> None:
    promotion = await bench.promote(failing, bench.request())
    assert promotion.outcome is Outcome.REFUSED
    assert "not better" in promotion.reason
    (kept,) = await bench.recorded()
    assert kept.outcome is Outcome.REFUSED
    assert any("--data" in note for note in kept.figures["notes"])


async def test_it_can_be_forced_for_a_reason_that_is_recorded(bench: Bench) -> None:
    promotion = await bench.promote(failing, bench.request(force="a trial with one team"))
    assert (promotion.outcome, promotion.reason) == (Outcome.FORCED, "a trial with one team")
    assert promotion.figures["reasons"]


async def test_an_answerer_whose_words_are_nearer_to_the_reference_answers_is_promoted(bench: Bench) -> None:
    promotion = await bench.promote(quoting, bench.request(Role.ANSWER), PROMPTAI_MIN_SIMILARITY="-1")
    figures = {figure["metric"]: figure for figure in promotion.figures["figures"]}
    assert promotion.outcome is Outcome.PROMOTED
    assert figures[WORDS]["low"] > 0


@pytest.mark.parametrize(("least", "outcome"), [(-1.0, Outcome.PROMOTED), (0.99, Outcome.REFUSED)])
async def test_answers_are_compared_where_the_embedder_in_service_lets_them_be_given(
    bench: Bench, least: float, outcome: Outcome
) -> None:
    bench.thresholds = Thresholds(min_similarity=least)
    assert (await bench.promote(quoting, bench.request(Role.ANSWER))).outcome is outcome


async def test_an_answerer_that_does_not_read_its_passages_cannot_be_measured_and_is_refused(bench: Bench) -> None:
    promotion = await bench.promote(remembering, bench.request(Role.ANSWER), PROMPTAI_MIN_SIMILARITY="-1")
    assert promotion.outcome is Outcome.REFUSED
    assert any("not measurable" in note for note in promotion.figures["notes"])


async def test_a_server_that_ignores_the_candidate_promotes_nothing(bench: Bench) -> None:
    with pytest.raises(PromotionError, match="LORA_ADAPTERS"):
        await bench.promote(vague, bench.request())
    assert await bench.recorded() == []


async def test_questions_that_the_adapter_was_trained_on_judge_nothing(bench: Bench) -> None:
    data = write_data(bench.folder / "rows", "what is the thing that people call number 3")
    with pytest.raises(PromotionError, match=r"1 rows of .* ask what held-out\.jsonl asks"):
        await bench.promote(remembering, bench.request(data=(data,)))


async def test_data_that_the_adapter_was_not_trained_on_is_noticed(bench: Bench) -> None:
    data = write_data(bench.folder / "rows", "How are invoices paid?")
    (bench.adapter / "manifest.json").write_text(json.dumps({"data": "0" * 64}))
    with pytest.raises(PromotionError, match="names other data"):
        await bench.promote(remembering, bench.request(data=(data,)))


async def test_rated_questions_judge_nothing_either(bench: Bench) -> None:
    """An adapter that ratings improved is judged by neither: those ratings, nor what it was trained on before."""
    line = {
        "prompt": [{"role": "user", "content": "> A.\n\nQuestion: what is the thing that people call number 3"}],
        "completion": [{"role": "assistant", "content": "It is a thing."}],
        "label": True,
    }
    (bench.folder / "ratings").mkdir()
    rated = write_lines(bench.folder / "ratings" / "kto.jsonl", [line])
    before = write_data(bench.folder / "rows", "what is the thing that people call number 4", adapter=bench.adapter)
    parent = {
        "name": "docs-1",
        "sha256": "0" * 64,
        "data": json.loads((bench.adapter / "manifest.json").read_text())["data"],
    }
    (bench.adapter / "manifest.json").write_text(json.dumps({"data": file_hash(rated), "parent": parent}))
    for data in (rated.parent, before):
        with pytest.raises(PromotionError, match=r"1 rows of .* ask what held-out\.jsonl asks"):
            await bench.promote(remembering, bench.request(data=(data,)))


async def test_what_is_in_service_is_not_promoted_again(bench: Bench) -> None:
    with pytest.raises(PromotionError, match="in service for drafts already"):
        await bench.promote(remembering, bench.request(), DRAFT_MODEL="docs")


async def test_an_adapter_that_no_server_could_load_is_refused_before_anything_runs(bench: Bench) -> None:
    write_adapter(bench.adapter, rank=128)
    with pytest.raises(TrainingError, match="at most 64"):
        await bench.promote(remembering, bench.request())
