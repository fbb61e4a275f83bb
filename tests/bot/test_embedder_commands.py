"""Promotion and roll-back of an embedder on a whole core: embedder, Chroma, keywords and SQLite, with models of one layer."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot import embedder_commands
from bot.app import Core, open_core
from bot.commands import run_command
from bot.embedding import IndexCheck, open_embedding
from bot.evaluate import open_corpus
from bot.promotion import Serving
from bot.settings import BotSettings
from bot.startup import embedder_lines
from pipeline.errors import IndexUnavailable
from pipeline.knowledge import DirectorySource
from pipeline.knowledge.embedders import Embedders, Switched
from pipeline.llm import BASE
from pipeline.retrieval.thresholds import Thresholds, write_thresholds
from pipeline.settings import PipelineSettings
from pipeline.training.embedder import EmbedderRecipe, Work, finetune
from pipeline.types import Filters
from tests.fakes.tiny_embedder import tiny_embedder, tiny_pairs

PAGES = 60
BOT = BotSettings(_env_file=None)  # type: ignore[call-arg]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`base` knows nothing, `tuned` has learnt which topic which answer is about, `wide` has other dimensions."""
    folder = tmp_path_factory.mktemp("models")
    base = tiny_embedder(folder / "base")
    tiny_embedder(folder / "wide", width=48, seed=5)
    pairs = tiny_pairs(folder / "data" / "pairs.jsonl", documents=36)
    recipe = EmbedderRecipe(
        base=str(base), epochs=12, batch=32, learning_rate=0.02, max_tokens=32, bf16=False, patience=99, held_out=0.03,
        hard_negatives=False, mixes=(1.0,),
    )  # fmt: skip
    finetune(Work(pairs, folder / "tuned", recipe), lambda _done, _total, _what: None)
    write_thresholds(folder / "tuned", Thresholds(0.125, 0.2, 0.3))
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Documents that answer by words that the questions do not have, and the questions."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(PAGES):
        (docs / f"page{number}.md").write_text(f"# word{number % 5}\n\nanswer{number} word{number % 3}\n")
    questions = [
        {"id": str(n), "question": f"topic{n} word{n % 7}", "gold_pages": [f"page{n}.md"]} for n in range(PAGES)
    ]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(each) + "\n" for each in questions))
    return tmp_path


@asynccontextmanager
async def opened(place: Path, model: Path) -> AsyncIterator[Core]:
    settings = PipelineSettings(_env_file=None, data_dir=place / "data", embedding_model=str(model))  # type: ignore[call-arg]
    async with open_core(BOT, settings) as core:
        yield core


async def synced(core: Core, place: Path) -> int:
    return (await core.syncer.sync(DirectorySource(place / "docs", name="docs"), tenant="shared")).embedded


async def promote(core: Core, place: Path, model: Path, **more: Any) -> list[dict[str, Any]]:
    params = {
        "model": str(model), "questions": str(place / "questions.jsonl"), "drafts": None, "split": None,
        "tenant": "default", "force": False, **more,
    }  # fmt: skip
    async with aclosing(run_command(core, "promote_embedder", params)) as events:
        return [event async for event in events if event["event"] != "progress"]


async def test_a_better_embedder_is_promoted_with_its_index_and_rolled_back(place: Path, models: Path) -> None:
    async with opened(place, models / "base") as core:
        await synced(core, place)
        old = core.embedding.fingerprint
        verdict, switched = await promote(core, place, models / "tuned")
        assert verdict["better"]
        assert verdict["arms"]["question"]["low"] > 0
        assert switched["from"] == old
        assert not switched["resplit"]
        assert core.embedding.fingerprint == switched["to"]
        assert core.embedding.thresholds.trust == 0.3
        assert core.options(Serving(BASE, BASE)).min_similarity == 0.125
        assert await synced(core, place) == 0
        [again] = await promote(core, place, models / "tuned")
        assert "in service already" in again["message"]
    shutil.rmtree(place / "data" / "nothing", ignore_errors=True)
    async with opened(place, models / "base") as core:
        assert core.embedding.fingerprint == switched["to"]
        assert "promoted" in (await embedder_lines(core))[0]
        [back] = [event async for event in run_command(core, "rollback_embedder", {}) if event["event"] != "progress"]
        assert back["to"] == core.embedding.fingerprint == old
        assert await synced(core, place) == 0


async def test_documents_read_for_an_evaluation_are_searched_as_those_in_service(place: Path, models: Path) -> None:
    """By the promoted embedder with its thresholds, the reranker and the filters of the settings."""
    async with opened(place, models / "base") as core:
        old, new = core.embedding, await open_embedding(str(models / "tuned"), core.settings)
        switched = Switched((old.fingerprint, old.model), (new.fingerprint, new.model), True, {})
        await Embedders(core.engine).switch(switched, ())
        await new.close()
    settings = PipelineSettings(
        _env_file=None, data_dir=place / "data", embedding_model=str(models / "base"), reranker="cross", language="en"
    )  # type: ignore[call-arg]
    async with open_corpus(place / "docs", "default", BOT, settings) as (corpus, embedder):
        assert embedder.fingerprint == new.fingerprint
        assert corpus.tuning.thresholds == Thresholds(0.125, 0.2, 0.3)
        assert corpus.tuning.filters == Filters("en")
        assert corpus.tuning.reranking is not None
        assert corpus.tuning.reranking.name == "cross"


async def test_an_embedder_that_is_not_better_is_refused_and_the_record_stays(place: Path, models: Path) -> None:
    async with opened(place, models / "tuned") as core:
        await synced(core, place)
        serving = core.embedding.fingerprint
        verdict, error = await promote(core, place, models / "wide")
        assert not verdict["better"]
        assert "not better" in error["message"]
        assert core.embedding.fingerprint == serving
        [refused] = await Embedders(core.engine).all()
        assert refused.state == "refused"
        assert refused.history[-1]["arms"]["question"]["questions"] == PAGES
        assert await synced(core, place) == 0


async def test_an_embedder_of_other_dimensions_can_serve_and_go_again(place: Path, models: Path) -> None:
    async with opened(place, models / "base") as core:
        await synced(core, place)
        *_, switched = await promote(core, place, models / "wide", force=True)
        assert switched["event"] == "switched"
        hits = await core.retriever.retrieve("answer7", draft="topic7", tenant="default", k=3)
        assert hits
        assert (await core.embedder.embed(["answer7"])).shape == (1, 48)


async def test_killed_before_the_switch_the_old_embedder_serves_and_promotion_goes_on(
    place: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    async def die(*_: Any) -> None:
        raise Killed

    async with opened(place, models / "base") as core:
        await synced(core, place)
        old = core.embedding.fingerprint
        with monkeypatch.context() as patched:
            patched.setattr(embedder_commands, "_switch", die)
            with pytest.raises(Killed):
                await promote(core, place, models / "tuned", force=True)
    async with opened(place, models / "base") as core:
        assert core.embedding.fingerprint == old
        assert await synced(core, place) == 0
        *_, switched = await promote(core, place, models / "tuned", force=True)
        assert core.embedding.fingerprint == switched["to"] != old


async def test_what_another_process_promotes_is_adopted(place: Path, models: Path) -> None:
    async with opened(place, models / "base") as core:
        await synced(core, place)
        mine = core.embedding
        await promote(core, place, models / "wide", force=True)
        other = replace(core, embedding=mine)  # a process that does not know yet
        assert await other.follow_embedding()
        assert other.embedding.fingerprint == core.embedding.fingerprint
        assert other.embedder._loaded is not None  # before it serves: no question waits for that
        assert not await other.follow_embedding()


async def test_an_index_of_another_embedder_is_told_at_the_start_and_not_ready(place: Path, models: Path) -> None:
    async with opened(place, models / "base") as core:
        await synced(core, place)
        await IndexCheck(core).check()
    async with opened(place, models / "wide") as core:
        [warning] = await embedder_lines(core)
        assert "promptai sync" in warning
        with pytest.raises(IndexUnavailable, match="EMBEDDING_MODEL"):
            await IndexCheck(core).check()
        await synced(core, place)
        await IndexCheck(core).check()


async def test_a_promoted_folder_that_is_gone_or_changed_is_named(place: Path, models: Path) -> None:
    async with opened(place, models / "base") as core:
        await synced(core, place)
        await promote(core, place, models / "wide", force=True)
        copy = Path(core.embedding.model)
        fingerprint = core.embedding.fingerprint
    [kept] = (place / "data" / "embedders" / fingerprint).iterdir()
    assert copy == models / "wide"
    (kept / "config_sentence_transformers.json").write_text("{}")
    with pytest.raises(IndexUnavailable, match="not the embedder that wrote the index"):
        async with opened(place, models / "base"):
            pass
    shutil.rmtree(kept.parent)
    async with opened(place, models / "base") as core:  # a folder without its copy serves from where it was promoted
        await Embedders(core.engine).forget(everything=True)
    async with opened(place, models / "base") as core:
        assert core.embedding.fingerprint.startswith("base-")


async def test_questions_that_fit_nothing_change_nothing(place: Path, models: Path) -> None:
    async with opened(place, models / "base") as core:
        await synced(core, place)
        (place / "questions.jsonl").write_text('{"id": "1", "question": "topic1", "gold_pages": ["none.md"]}\n')
        [error] = await promote(core, place, models / "wide")
        assert "not in the corpus" in error["message"]
        [error] = await promote(core, place, place / "no-such-model")
        assert error["event"] == "error"
        assert await Embedders(core.engine).all() == ()
