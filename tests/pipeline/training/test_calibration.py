"""An adapter's drafts for held-out questions say how far it is to be believed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.confidence import LEAST, Calibration, Calibrations
from pipeline.errors import TrainingError
from pipeline.evaluation.drafts import ReplayedModel
from pipeline.llm import Message
from pipeline.llm.scripted import ScriptedChatModel
from pipeline.training.calibration import FILE, Outcome, observe, read, summary, write
from pipeline.training.rows import Provenance, Row, Skill


def row(number: int, text: str = "Stall Ratio > Definition\nA stall is …") -> Row:
    prompt = (Message("user", f"question {number}"),)
    return Row(prompt, (Message("assistant", text),), Skill.DRAFT, "seed", Provenance("d", (), "v", "seed"))


async def test_a_draft_is_right_that_begins_with_the_right_page() -> None:
    """Its section and its words may be others; the probabilities are those of the title and of the whole line."""
    drafter = ScriptedChatModel(
        ["Stall Ratio > Formula"] * LEAST + ["Startup Delay > Definition"], logprob=math.log(0.5)
    )
    outcomes = await observe([row(n) for n in range(LEAST + 1)], drafter)
    assert [outcome.right for outcome in outcomes] == [True] * LEAST + [False]
    assert (outcomes[0].title, outcomes[0].line) == (pytest.approx(0.5**3), pytest.approx(0.5**4))


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
    outcomes = [Outcome(0.9, 0.4, True)] * 40 + [Outcome(0.1, 0.05, False)] * 40
    found = summary(outcomes, data="abc", date="2026-11-25")
    write(tmp_path, found)
    assert read(tmp_path) == found
    assert found.right == 0.5
    assert found.calibrations == Calibrations(
        title=Calibration(((0.1, 0.0), (0.9, 1.0))), line=Calibration(((0.05, 0.0), (0.4, 1.0)))
    )


@pytest.mark.parametrize(("of", "known"), [("", "line"), ('"of": "line",', "line"), ('"of": "title",', "title")])
def test_earlier_files_hold_one_calibration_the_first_of_them_of_lines(tmp_path: Path, of: str, known: str) -> None:
    """A line is never likelier than its title: looked up for titles, it would be believed too much."""
    points, rest = '"points": [[0.5, 0.5]]', '"questions": 40, "right": 0.5, "data": "", "date": ""'
    (tmp_path / FILE).write_text(f"{{{points}, {of} {rest}}}")
    found = read(tmp_path)
    assert found is not None
    assert found.calibrations == Calibrations(**{known: Calibration(((0.5, 0.5),))})


REST = '"questions": 1, "right": 1, "data": "", "date": ""'


@pytest.mark.parametrize(
    "content",
    ["{", "{}", "1", "[]", f"{{{REST}}}", f'{{"points": [[2, 0]], {REST}}}', f'{{"title": [[2, 0]], {REST}}}',
     f'{{"title": [[0.5, 0.5]], "line": [[0.5, 0.5], [0.4, 0.6]], {REST}}}'],
)  # fmt: skip
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
    assert not any(outcome.right for outcome in await observe([easy, *(row(n) for n in range(1, LEAST + 1))], drafter))
