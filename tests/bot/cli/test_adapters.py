"""`promptai adapter …`, as typed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bot.__main__ import app
from bot.promotion import Outcome, Promotion
from bot.store import SqlPromotions, database_url, migrate, open_engine
from pipeline.types import Role
from tests.fakes.samples import NOW

FIRST = Promotion(Role.DRAFT, "docs-v1", Outcome.PROMOTED, "tgi", "", {}, "a" * 64, "", "noa", NOW)


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder in which `docs-v1` was promoted, and then `docs-v2`."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "DRAFT_MODEL", "ANSWER_MODEL", "PROMPTAI_ADAPTERS", "MODEL_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PROMPTAI_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()

    async def fill() -> None:
        engine = open_engine(database_url(None, tmp_path / "data"))
        await migrate(engine)
        for promotion in (FIRST, replace(FIRST, adapter="docs-v2", replaces="docs-v1")):
            await SqlPromotions(engine).record(promotion)
        await engine.dispose()

    asyncio.run(fill())
    return tmp_path / "data"


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["adapter", *words])


def test_one_command_rolls_back_and_the_list_shows_it(data_dir: Path) -> None:
    assert json.loads(call("list", "--json").stdout)["draft"] == "docs-v2"
    assert call("rollback", "--role", "draft").exit_code == 0
    shown = call("list").stdout
    assert shown.startswith("drafts by docs-v1, answers by tgi")
    assert "docs-v2 promoted, beside docs-v1, by noa, rolled back" in shown


def test_rolling_back_to_before_the_first_promotion_leaves_the_base_and_no_further(data_dir: Path) -> None:
    for _ in range(2):
        assert call("rollback", "--role", "draft").exit_code == 0
    assert call("list").stdout.startswith("drafts by tgi")
    assert call("rollback", "--role", "draft").exit_code == 1


def test_what_a_setting_says_is_marked(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAFT_MODEL", "mine")
    assert call("list").stdout.startswith("drafts by mine (set), answers by tgi")


def test_a_check_without_any_adapter_says_what_to_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROMPTAI_DATA_DIR", str(tmp_path / "empty"))
    refused = call("check")
    assert refused.exit_code == 1
    assert not (tmp_path / "empty").exists()  # asking makes no database


def test_answers_cannot_be_judged_by_retrieval_alone(data_dir: Path) -> None:
    assert call("promote", "docs-v3", "--role", "answer", "-q", "q.jsonl", "--retrieval-only").exit_code == 1
