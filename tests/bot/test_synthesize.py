"""`promptai synthesize`: its options, what it reads, and what it asks a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot import synthesize
from bot.__main__ import app
from bot.parts import open_store
from bot.synthesis_progress import expected, used
from pipeline.knowledge import Catalog, DirectorySource, Syncer
from pipeline.llm import Message
from pipeline.llm.scripted import ScriptedChatModel
from pipeline.retrieval import HashingEmbedder, MemoryKeywords, MemoryVectors
from pipeline.settings import PipelineSettings
from pipeline.training.synthesis.asking import Limits
from pipeline.training.synthesis.costs import Forecast, Prices, Usage
from pipeline.training.synthesis.generation import Amount
from pipeline.training.synthesis.making import Shape
from pipeline.training.synthesis.session import Plan
from pipeline.types import SHARED
from tests.pipeline.training.synthesis.support import PAGES


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with documents in `docs/` and a tokenizer's folder in `base/`, which is the current one."""
    for name, text in PAGES.items():
        file = tmp_path / "docs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "chat_template.jinja").write_text("{{ messages }}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROMPTAI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("MODEL_URL", raising=False)
    return tmp_path


def invoke(*options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["synthesize", "--base", "base", "--out", "out", *options])
    return result.exit_code, result.output


def test_a_folder_becomes_training_data(folder: Path) -> None:
    """Without a model, in one command; the manifest is printed for programs."""
    status, output = invoke("--corpus", "docs", "--wordings", "1", "--draft-form", "headings", "--json")
    assert status == 0, output
    manifest = json.loads(output)
    assert manifest["corpus"]["documents"] == len(PAGES)
    assert manifest["chat_template"]["source"] == "base/chat_template.jinja"
    assert manifest["shape"]["draft_form"] == "headings"
    assert manifest["shape"]["small_model"]
    assert manifest == json.loads((folder / "out" / "manifest.json").read_text())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--corpus", "docs", "--draft-form", "poem"), "choose from prose, answer, heading, headings"),
        (("--corpus", "docs", "--skill", "juggle"), "choose from draft, answer"),
        (("--corpus", "docs", "--seeds", "none.jsonl"), "none.jsonl cannot be read"),
        (("--corpus", "docs", "--base", "docs"), "--base names a model's folder"),
        ((), "Nothing has been synced"),
    ],
)
def test_wrong_input_is_one_line(folder: Path, options: tuple[str, ...], says: str) -> None:
    """Exit status 1, what to do, no traceback, no data."""
    status, output = invoke(*options)
    assert status == 1
    assert says in " ".join(output.split())
    assert "Traceback" not in output
    assert not (folder / "out").exists()


async def sync(settings: PipelineSettings, folder: Path, tenant: str) -> None:
    async with open_store(settings) as (engine, _):
        syncer = Syncer(Catalog(engine), HashingEmbedder(), MemoryVectors(), MemoryKeywords())
        await syncer.sync(DirectorySource(folder), tenant=tenant)


async def test_what_was_synced_is_read_and_a_tenants_own_only_if_it_is_named(folder: Path) -> None:
    """What is trained into an adapter may be read by everybody whom it answers."""
    (folder / "own").mkdir()
    (folder / "own" / "secret.md").write_text("# Secret plan\n\nThe takeover of Umbrella happens in March.\n")
    settings = PipelineSettings()
    await sync(settings, folder / "docs", SHARED)
    await sync(settings, folder / "own", "acme")
    for tenant, told in (("", False), ("acme", True)):
        plan = Plan(folder / f"out-{tenant}", wordings=1, shape=Shape())
        await synthesize.run(synthesize.Request(plan, None, tenant, folder / "base", as_json=True), settings)
        assert ("Umbrella" in (plan.out / "train.jsonl").read_text()) is told


class Host:
    """A `ModelHost` of one scripted model."""

    def __init__(self, model: ScriptedChatModel) -> None:
        self._model = model

    async def start(self) -> None:
        """Nothing to start."""

    def model(self, name: str) -> ScriptedChatModel:
        assert name == "writer"
        return self._model

    async def close(self) -> None:
        """Nothing to close."""


async def test_a_model_adds_rows_and_the_manifest_says_what_it_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls, tokens, speed and cost; a second run takes everything from the journal and gives the same rows."""

    def answer(messages: list[Message]) -> str:
        asked = messages[-1].content
        told = next((line[2:] for line in asked.splitlines() if line.startswith("> ") and line.endswith(".")), "")
        return f"Q: {told[:-1]}, or not?\nA: {told}" if "Q: the question" in asked else told

    model = ScriptedChatModel(answer, name="writer")  # type: ignore[arg-type]
    monkeypatch.setattr(synthesize, "model_host", lambda _: Host(model))
    writer = synthesize.Writer("writer", Limits(2, 30), Amount(1, 0), Prices(2.0, 4.0))
    plan = Plan(folder / "out", wordings=1, shape=Shape())
    request = synthesize.Request(plan, folder / "docs", "", folder / "base", writer, as_json=True)
    await synthesize.run(request, PipelineSettings())
    manifest = json.loads((plan.out / "manifest.json").read_text())
    assert manifest["generator"]["calls"] == 30
    assert manifest["generator"]["left out by --limit-calls"] > 0
    assert manifest["counts"]["generator"]["writer"] > 5
    rows = (plan.out / "train.jsonl").read_bytes()
    await synthesize.run(request, PipelineSettings())
    await synthesize.run(request, PipelineSettings())
    grown = (plan.out / "train.jsonl").read_bytes()
    asked = len(model.requests)
    assert len(grown) > len(rows)
    await synthesize.run(request, PipelineSettings())
    assert len(model.requests) == asked
    assert (plan.out / "train.jsonl").read_bytes() == grown


def test_cost_is_told_before_and_after() -> None:
    """From tokens and prices a million; without prices nobody is told of money."""
    prices = Prices(0.5, 1.5)
    assert "cost 2.00" in expected(Forecast(10, 1_000_000, 1_000_000), prices, "big")
    assert "cost" not in expected(Forecast(10, 1_000_000, 1_000_000), Prices(), "big")
    told = used(Usage(calls=1, tokens_in=2_000_000, tokens_out=500), prices, 10.0, "big")
    assert (told["cost"], told["tokens out per second"]) == (1.0, 50.0)
