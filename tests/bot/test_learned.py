"""An adapter that began as another one learned from that one's data too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.errors import PromotionError
from bot.learned import not_looked_at
from pipeline.errors import TrainingError
from pipeline.evaluation.cases import Case
from pipeline.llm import Message
from pipeline.training.adapter import Adapter, read_adapter
from pipeline.training.rows import Provenance, Row, Skill, file_hash, write_rows
from tests.fakes.tiny_llama import write_adapter

ASKED = "Which ratio tells of stalls?"
CASES = (Case("q", ASKED),)


def data(folder: Path, question: str = "How are invoices paid?") -> tuple[Path, str]:
    """A folder of training data, and its hash."""
    folder.mkdir()
    row = Row(
        (Message("user", question),),
        (Message("assistant", folder.name),),
        Skill.ANSWER,
        "k",
        Provenance("d", (), "v", "r"),
    )
    files = folder / "train.jsonl", folder / "held-out.jsonl"
    for file in files:
        write_rows(file, [row])
    return folder, file_hash(*files)


def adapter(folder: Path, **told: Any) -> Adapter:
    write_adapter(folder)
    (folder / "manifest.json").write_text(json.dumps(told))
    return read_adapter(folder, values=False)


def parent(name: str, data: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "sha256": "0" * 64, "data": data, **more}


def test_what_was_not_looked_at_is_named_by_what_was_given(tmp_path: Path) -> None:
    """Its own data or an ancestor's, each alone or all of them."""
    (third, third_hash), (second, second_hash), (first, first_hash) = (data(tmp_path / name) for name in "cba")
    told = parent("docs-2", second_hash, parent=parent("docs-1", first_hash))
    docs = adapter(tmp_path / "docs", data=third_hash, parent=told)

    def notes(*given: Path) -> str:
        return " ".join(not_looked_at("docs-3", given, docs, "questions.jsonl", CASES))

    assert "what its ancestor docs-2 and its ancestor docs-1 learned from was not looked at" in notes(third)
    assert "what docs-3 and its ancestor docs-1 learned from was not looked at" in notes(second)
    assert "what docs-3 and its ancestor docs-2 learned from was not looked at" in notes(first)
    assert notes(third, second, first) == ""
    assert "no --data" in notes()


def test_questions_in_the_data_of_any_of_them_are_refused(tmp_path: Path) -> None:
    """Also where it is given last."""
    (own, own_hash), (before, before_hash) = data(tmp_path / "own"), data(tmp_path / "before", ASKED)
    docs = adapter(tmp_path / "docs", data=own_hash, parent=parent("docs-1", before_hash))
    with pytest.raises(PromotionError, match=r"1 rows of .*before ask what questions\.jsonl asks"):
        not_looked_at("docs-2", [own, before], docs, "questions.jsonl", CASES)


def test_data_of_none_of_them_is_refused(tmp_path: Path) -> None:
    """Each of the folders is looked up."""
    (own, own_hash), (other, _) = data(tmp_path / "own"), data(tmp_path / "other")
    docs = adapter(tmp_path / "docs", data=own_hash, parent=parent("docs-1", ""))
    assert "docs-1 (which is not known)" in not_looked_at("docs-2", [own], docs, "questions.jsonl", CASES)[0]
    with pytest.raises(PromotionError, match=rf"other is not what docs-2 .* \(docs-2 {own_hash[:12]}…\)"):
        not_looked_at("docs-2", [own, other], docs, "questions.jsonl", CASES)


def test_a_parent_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    own, own_hash = data(tmp_path / "own")
    docs = adapter(tmp_path / "docs", data=own_hash, parent={"name": 3})
    with pytest.raises(TrainingError, match="names a parent that cannot be read"):
        not_looked_at("docs-2", [own], docs, "questions.jsonl", CASES)
