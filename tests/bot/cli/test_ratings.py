"""`promptai tenants consent` and `promptai ratings dataset`, from the terminal to the files."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot.__main__ import app
from bot.messages import Person
from bot.store import SqlStore, database_url, migrate, open_engine
from pipeline.training.rows import read_rows
from tests.fakes.samples import ANSWER, NOW, question, rating


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one answer that an expert approved."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROMPTAI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PROMPTAI_TENANT", "acme")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    (tmp_path / "data").mkdir()

    async def fill() -> None:
        engine = open_engine(database_url(None, tmp_path / "data"))
        await migrate(engine)
        store = SqlStore(engine, now=lambda: NOW)
        asked = replace(question(), person=Person("U77", "Ada Lovelace"))
        await store.add_question(asked)
        await store.set_reply(asked.id, "reply-m1")
        await store.set_answer(asked.id, replace(ANSWER, question="What did Ada Lovelace set?"))
        await store.apply_rating(replace(rating(person=Person("U88", "Grace Hopper")), expert=True))
        await engine.dispose()

    asyncio.run(fill())
    return tmp_path / "data"


def promptai(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_nothing_is_exported_until_the_tenant_has_agreed_nor_after_it_has_changed_its_mind(
    data_dir: Path, tmp_path: Path
) -> None:
    """Off by default, on by a command that records who, off again by another."""
    out = tmp_path / "out"
    refused = promptai("ratings", "dataset", "-o", str(out))
    assert refused.exit_code == 1
    assert "promptai tenants consent NAME --training on" in " ".join(refused.stderr.split())
    assert not out.exists()

    assert promptai("tenants", "consent", "acme", "--training", "on", "--by", "J. Doe").exit_code == 0
    assert "training on (by J. Doe" in promptai("tenants", "list").stdout
    made = promptai("ratings", "dataset", "-o", str(out), "--json")
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["kto"] == {"good": 1, "bad": 0}
    assert read_rows([out / "sft.jsonl"])[0].question.endswith("What did [name] set?")
    everything = "".join(file.read_text() for file in out.iterdir())
    for person in ("U77", "U88", "Lovelace", "Hopper", "J. Doe"):
        assert person not in everything

    assert promptai("tenants", "consent", "acme", "--training", "off").exit_code == 0
    assert promptai("ratings", "dataset", "-o", str(out), "--tenant", "acme").exit_code == 1


def test_evaluation_questions_are_held_out_and_a_file_without_any_is_refused(data_dir: Path, tmp_path: Path) -> None:
    """Before anything is written."""
    promptai("tenants", "consent", "acme", "--training", "on")
    questions = tmp_path / "questions.jsonl"
    questions.write_text(json.dumps({"question": "what did ada lovelace set"}))
    made = promptai("ratings", "dataset", "-o", str(tmp_path / "out"), "--held-out", str(questions), "--json")
    assert json.loads(made.stdout)["kto"] == {"good": 0, "bad": 0}
    refused = promptai("ratings", "dataset", "-o", str(tmp_path / "no"), "--held-out", str(tmp_path / "missing"))
    assert refused.exit_code == 1
    assert not (tmp_path / "no").exists()


def test_a_consent_for_nobody_and_a_withdrawal_with_a_day_are_refused(data_dir: Path) -> None:
    """Both are slips of the hand."""
    assert "tenants list" in promptai("tenants", "consent", "acmee", "--training", "on").stderr
    assert "--since" in promptai("tenants", "consent", "acme", "--training", "off", "--since", "2026-01-01").stderr
