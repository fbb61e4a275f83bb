"""An adapter's drafts for held-out questions say how far it is to be believed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.confidence import LEAST, Calibration, Calibrations
from pipeline.errors import ModelUnavailable, TrainingError
from pipeline.evaluation.drafts import ReplayedModel
from pipeline.llm import Message
from pipeline.llm.scripted import Failure, ScriptedChatModel
from pipeline.training.calibration import FILE, Observed, Outcome, observe, read, summary, write
from pipeline.training.rows import Provenance, Row, Skill


def row(number: int, text: str = "Stall Ratio > Definition\nA stall is …") -> Row:
    prompt = (Message("user", f"question {number}"),)
    return Row(prompt, (Message("assistant", text),), Skill.DRAFT, "seed", Provenance("d", (), "v", "seed"))


async def test_a_draft_is_right_that_begins_with_the_right_page() -> None:
    """Its section and its words may be others; the probabilities are those of the title and of the whole line."""
    drafter = ScriptedChatModel(
        ["Stall Ratio > Formula"] * LEAST + ["Startup Delay > Definition"], logprob=math.log(0.5)
    )
    outcomes = (await observe([row(n) for n in range(LEAST + 1)], drafter)).outcomes
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
    found = summary(Observed(tuple(outcomes), failed=3), data="abc", date="2026-11-25")
    write(tmp_path, found)
    assert read(tmp_path) == found
    assert (found.right, found.questions, found.failed) == (0.5, 80, 3)
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
    assert len((await observe([easy] * LEAST, drafter)).outcomes) == LEAST
    observed = await observe([easy, *(row(n) for n in range(1, LEAST + 1))], drafter)
    assert not any(outcome.right for outcome in observed.outcomes)


class Failing:
    """Fails for a question as often as it is told to, then drafts."""

    def __init__(self, **failures: int) -> None:
        self.left = failures
        self.asked = 0

    def __call__(self, messages: Sequence[Message]) -> str | Failure:
        self.asked += 1
        name = messages[-1].content.replace("question ", "q")
        if self.left.get(name, 0):
            self.left[name] -= 1
            return Failure(ModelUnavailable(f"no token for {name}"))
        return "Stall Ratio > Formula"


async def test_a_request_that_fails_is_repeated_and_the_others_go_on() -> None:
    """Once; what fails again is counted, and costs none of the drafts that are there."""
    script, seen = Failing(q1=1, q7=2), []
    rows = [row(n) for n in range(2 * LEAST)]
    observed = await observe(rows, ScriptedChatModel(script), progress=lambda done, total: seen.append((done, total)))
    assert (len(observed.outcomes), observed.failed, script.asked) == (2 * LEAST - 1, 1, 2 * LEAST + 2)
    assert seen[-1] == (2 * LEAST, 2 * LEAST)


async def test_too_many_failures_are_refused_as_soon_as_they_are_too_many() -> None:
    """They are not any questions: what is left would not say how often drafts are right."""
    script = Failing(**{f"q{n}": 2 for n in range(10, 20)})
    with pytest.raises(TrainingError, match=r"5 of 15 drafts failed.*At most 4 of 80"):
        await observe([row(n) for n in range(2 * LEAST)], ScriptedChatModel(script))
    with pytest.raises(TrainingError, match="At most 0"):  # the least that a calibration needs
        await observe([row(n) for n in range(LEAST)], ScriptedChatModel(Failing(q3=2)))


async def test_a_server_that_is_down_is_told_at_the_first_three_questions() -> None:
    drafter = ScriptedChatModel(Failing(q0=9, q1=9, q2=9))
    with pytest.raises(ModelUnavailable, match="q2"):
        await observe([row(n) for n in range(2 * LEAST)], drafter)
    assert len(drafter.requests) == 6


async def test_first_questions_that_always_fail_are_failures_like_any_other() -> None:
    """They would stand in the way of every calibration: their order does not change."""
    observed = await observe([row(n) for n in range(2 * LEAST)], ScriptedChatModel(Failing(q0=9, q1=9)))
    assert (len(observed.outcomes), observed.failed) == (2 * LEAST - 2, 2)
