"""Rows are read whole or refused with the lines that are broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import TrainingError
from pipeline.llm import Message
from pipeline.training import rows as rows_module
from pipeline.training.rows import Provenance, Row, Skill, corpus_hash, file_hash, line, read_rows, write_rows


def a_row(question: str = "What is a stall?", text: str = "Stall Ratio > Definition") -> Row:
    provenance = Provenance("docs:stalls.md", ("p1",), "v1", "rule", scores={"length": 1.0})
    return Row(
        (Message("system", "Recall."), Message("user", question)),
        (Message("assistant", text),),
        Skill.DRAFT,
        "heading",
        provenance,
    )


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Writing and reading loses nothing, and the hash returned is the file's."""
    file = tmp_path / "train.jsonl"
    written = (a_row(), a_row("Wie groß?", "Größe > «Grenzen»"))
    assert write_rows(file, written) == file_hash(file)
    assert read_rows([file]) == written


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "JSON"),
        ("[]", "object"),
        (line(a_row()).replace('"draft"', '"poem"'), "skill"),
        (line(a_row(text=" ")), "with text"),
        (line(a_row()).replace('"user"', '"assistant"'), "user's message"),
        (line(a_row()).replace('"completion": [', '"completion": [], "x": ['), "one message"),
    ],
)
def test_a_broken_row_is_named_by_its_line(tmp_path: Path, text: str, says: str) -> None:
    """One broken line refuses the file: a row that is left out in silence is a fact that is not learned."""
    file = tmp_path / "train.jsonl"
    file.write_text(line(a_row()) + text.strip() + "\n")
    with pytest.raises(TrainingError, match=r"train\.jsonl:2") as refused:
        read_rows([file])
    assert says in str(refused.value)


def test_an_oversized_row_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row larger than any window is refused."""
    monkeypatch.setattr(rows_module, "MAX_LINE", 1000)
    file = tmp_path / "train.jsonl"
    file.write_text(line(a_row(text="x" * 1000)))
    with pytest.raises(TrainingError, match="at most 1,000"):
        read_rows([file])


def test_no_rows_at_all_are_an_error_that_says_what_to_run(tmp_path: Path) -> None:
    """An empty file trains nothing."""
    file = tmp_path / "train.jsonl"
    file.write_text("\n")
    with pytest.raises(TrainingError, match="promptai synthesize"):
        read_rows([file])


@pytest.mark.parametrize(
    ("manifest", "hashed"), [('{"corpus": {"hash": "c0ffee"}}', "c0ffee"), ("{}", ""), ("[", ""), (None, "")]
)
def test_the_documents_behind_the_data_are_known_by_their_hash(
    tmp_path: Path, manifest: str | None, hashed: str
) -> None:
    """Where nothing says it, it is empty: data may come from elsewhere."""
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    assert corpus_hash(tmp_path) == hashed
