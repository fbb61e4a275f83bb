"""An adapter's drafts for held-out questions say how far it is to be believed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.confidence import LEAST
from pipeline.errors import TrainingError
from pipeline.evaluation.drafts import ReplayedModel
from pipeline.llm import Message
from pipeline.llm.scripted import ScriptedChatModel
from pipeline.training.calibration import FILE, observe, read, summary, write
from pipeline.training.rows import Provenance, Row, Skill


def row(number: int, text: str = "Stall Ratio > Definition\nA stall is …") -> Row:
    prompt = (Message("user", f"question {number}"),)
    return Row(prompt, (Message("assistant", text),), Skill.DRAFT, "seed", Provenance("d", (), "v", "seed"))


async def test_a_draft_is_right_that_begins_with_the_right_page() -> None:
    """Its section and its words may be others; the probability is that of the title."""
    drafter = ScriptedChatModel(
        ["Stall Ratio > Formula"] * LEAST + ["Startup Delay > Definition"], logprob=math.log(0.5)
    )
    outcomes = await observe([row(n) for n in range(LEAST + 1)], drafter)
    assert [right for _, right in outcomes] == [True] * LEAST + [False]
    assert outcomes[0][0] == pytest.approx(0.5**3)


async def test_answers_are_no_drafts() -> None:
    """Rows of the other skill are left out, and what is left may be too little."""
    rows = [replace(row(n), skill=Skill.ANSWER) for n in range(LEAST)]
    with pytest.raises(TrainingError, match="too few"):
        await observe(rows, ScriptedChatModel(["x"]))


async def test_a_server_without_probabilities_cannot_be_calibrated() -> None:
    """It says so instead of trusting blindly."""
    with pytest.raises(TrainingError, match="logprobs"):
        await observe([row(n) for n in range(LEAST)], ReplayedModel("Stall Ratio", "old"))


def test_what_was_measured_is_kept_beside_the_adapter(tmp_path: Path) -> None:
    """Written whole, read as it was."""
    assert read(tmp_path) is None
    found = summary([(0.9, True)] * 40 + [(0.1, False)] * 40, data="abc", date="2026-11-25")
    write(tmp_path, found)
    assert read(tmp_path) == found
    assert found.calibration.right(0.9) == 1.0
    assert found.right == 0.5
    assert found.calibration.of == "title"


def test_a_calibration_from_before_titles_were_looked_at_is_of_lines(tmp_path: Path) -> None:
    """A line is never likelier than its title: looked up for titles, it would be believed too much."""
    (tmp_path / FILE).write_text('{"points": [[0.5, 0.5]], "questions": 40, "right": 0.5, "data": "", "date": ""}')
    found = read(tmp_path)
    assert found is not None
    assert found.calibration.of == "line"


@pytest.mark.parametrize(
    "content", ["{", "{}", '{"points": [[2, 0]], "questions": 1, "right": 1, "data": "", "date": ""}']
)
def test_a_broken_file_is_refused_with_what_to_do(tmp_path: Path, content: str) -> None:
    """Trusting a draft by garbage would be worse than not starting."""
    (tmp_path / FILE).write_text(content)
    with pytest.raises(TrainingError, match="Calibrate the adapter again"):
        read(tmp_path)


async def test_questions_made_by_rule_count_only_where_there_are_no_others() -> None:
    """Nobody asks as a rule does, and what a rule asks is easy."""
    easy = replace(row(0), provenance=Provenance("d", (), "v", "rule"))
    drafter = ScriptedChatModel(lambda messages: "Stall Ratio" if messages[-1].content == "question 0" else "Other")
    assert len(await observe([easy] * LEAST, drafter)) == LEAST
    assert not any(right for _, right in await observe([easy, *(row(n) for n in range(1, LEAST + 1))], drafter))
