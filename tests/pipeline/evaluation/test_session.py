from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.confidence import Calibration, Calibrations
from pipeline.errors import EvaluationError
from pipeline.evaluation.arms import ARMS, BASELINE, choose, expand
from pipeline.evaluation.drafts import ReplayedModel
from pipeline.evaluation.session import Plan, arms_of, cases_of
from pipeline.llm import FirstLine, complete
from pipeline.llm.scripted import ScriptedChatModel
from pipeline.retrieval.reranking import Reranking
from pipeline.retrieval.tuning import Tuning
from tests.pipeline.evaluation.support import OPTIONS, QUESTIONS, down_for, models, quoting, run, write_lines


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(write_lines(tmp_path / "q.jsonl", QUESTIONS), tmp_path / "out")


async def test_all_arms_are_measured_and_the_report_is_written_in_three_forms(plan: Plan) -> None:
    report = await run(plan, models())
    assert report.arms == tuple(arm.name for arm in ARMS)
    assert not report.failures
    assert {path.name for path in plan.out.iterdir()} == {"records.jsonl", "report.json", "report.md", "report.html"}
    assert json.loads((plan.out / "report.json").read_text())["baseline"] == BASELINE
    text = (plan.out / "report.md").read_text()
    assert [
        text.count(part) for part in ("## All questions", "## Abstention threshold", "- combined: PROMPTAI_MIN")
    ] == [1] * 3
    html = (plan.out / "report.html").read_text()
    assert "<svg" in html
    assert "http" not in html.replace("http-equiv", "")  # it opens without a network


async def test_an_answerer_that_quotes_its_passages_is_seen_to_use_them(plan: Plan) -> None:
    report = await run(plan, models())
    assert report.answers_measurable
    gold, chance = report.cell("gold-passages", "F1"), report.cell("random-passages", "F1")
    assert gold is not None
    assert chance is not None
    assert gold.value.value > chance.value.value + 0.3


async def test_an_answerer_that_ignores_its_passages_makes_answers_not_measurable(plan: Plan) -> None:
    report = await run(plan, models(ScriptedChatModel(["It is what it is."])))
    assert report.answers_measurable is False
    assert "not measurable with this model" in (plan.out / "report.md").read_text()


async def test_retrieval_only_needs_no_model_and_leaves_out_the_arms_that_do(plan: Plan) -> None:
    report = await run(replace(plan, retrieval_only=True))
    assert report.arms == ("rag-dense", "rag", "oracle", "shuffled")
    cell = report.cell("rag", "page nDCG@10")
    assert cell is not None
    assert cell.value.value == 1.0
    assert cell.value.cases == 3
    assert report.cell("rag", "F1") is None


class AgainstTheFusion:
    """A reranker that likes best what has least in common with the question."""

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        asked = set(question.casefold().rstrip("?").split())
        return [-float(len(asked & set(text.casefold().rstrip(".").split()))) for text in texts]


async def test_the_configured_reranker_orders_what_is_found_but_not_in_plain_rag(plan: Plan) -> None:
    plan = replace(plan, retrieval_only=True, arms=("rag", "rag-dense"))
    tuning = Tuning(reranking=Reranking(AgainstTheFusion(), name="against"))
    report = await run(plan, tuning=tuning)
    reranked, dense = report.cell("rag", "page R@1"), report.cell("rag-dense", "page R@1")
    assert reranked is not None
    assert dense is not None
    assert (reranked.value.value, dense.value.value) == (0.0, 1.0)
    with pytest.raises(EvaluationError, match="--fresh"):
        await run(plan)


@pytest.mark.parametrize(("probability", "first_page"), [(0.9, 0.0), (0.4, 1.0), (0.1, 1.0)])
async def test_the_gated_arm_is_measured_on_the_passages_that_its_verdict_leaves(
    plan: Plan, probability: float, first_page: float
) -> None:
    """A drafter that names the same page for every question misleads where it is believed, and does nothing where not."""
    plan = replace(plan, arms=("rag", "gated"))
    drafter = ScriptedChatModel(["limits\n> Requests"], name="docs", logprob=math.log(probability))
    honest = Calibrations(title=Calibration(((0.0, 0.0), (1.0, 1.0))))
    asked = replace(models(), drafter=drafter, calibrations=honest)
    report = await run(plan, asked, options=replace(OPTIONS, trained_drafter=True))
    cell = report.cell("gated", "page R@1")
    assert cell is not None
    assert cell.value.value == pytest.approx((1 + 2 * first_page) / 3)


async def test_a_replayed_draft_tells_the_probabilities_of_its_title_and_line() -> None:
    """So that the pipeline judges it as it was judged when it was written."""

    async def read(text: str, title: float, line: float) -> FirstLine:
        seen = FirstLine()
        model = ReplayedModel(text, "docs", title=title, line=line)
        assert await complete(model, [], max_tokens=8, seen=seen) == text
        return seen

    path = await read("Stall Ratio > Formula\nIt is …", 0.8, 0.4)
    assert (path.title, path.probability) == (pytest.approx(0.8), pytest.approx(0.4))
    bare = await read("Stall Ratio", 0.4, 0.4)
    assert (bare.title, bare.probability) == (pytest.approx(0.4), pytest.approx(0.4))
    later = await read("Stall Ratio\nSee A > B", 0.4, 0.4)
    assert (later.title, later.probability) == (pytest.approx(0.4), pytest.approx(0.4))


async def test_combined_is_measured_by_the_line_and_gated_by_the_title(plan: Plan) -> None:
    """A drafter that names the same page for every question, whose titles are believed and whose lines are not."""
    plan = replace(plan, arms=("combined", "gated"), retrieval_only=True)
    drafter = ScriptedChatModel(["limits > Requests"], name="docs", logprob=0.0)
    known = Calibrations(title=Calibration(((0.0, 1.0),)), line=Calibration(((0.0, 0.0),)))
    asked = replace(models(), drafter=drafter, calibrations=known)
    report = await run(plan, asked, options=replace(OPTIONS, trained_drafter=True))
    by_line, by_title = report.cell("combined", "page R@1"), report.cell("gated", "page R@1")
    assert by_line is not None
    assert by_title is not None
    assert (by_line.value.value, by_title.value.value) == (1.0, pytest.approx(1 / 3))


async def test_a_run_with_an_adapter_that_was_calibrated_anew_does_not_go_on_from_the_one_before(plan: Plan) -> None:
    plan = replace(plan, arms=("combined",), retrieval_only=True)
    await run(plan, models())
    anew = replace(models(), calibrations=Calibrations(line=Calibration(((0.0, 0.5),))))
    with pytest.raises(EvaluationError, match="--fresh"):
        await run(plan, anew)


async def test_a_case_that_fails_is_a_failure_and_neither_a_zero_nor_left_out_in_silence(plan: Plan) -> None:
    plan = replace(plan, arms=("rag", "combined"))
    report = await run(plan, models(down_for("Which files")))
    assert {(failure.arm, failure.case) for failure in report.failures} == {("rag", "q2"), ("combined", "q2")}
    cell = report.cell("rag", "F1")
    assert cell is not None
    assert cell.value.cases == 2
    assert "2 failures" in (plan.out / "report.md").read_text()


async def test_a_failure_in_one_arm_takes_the_case_out_of_the_difference_only(plan: Plan) -> None:
    questions = [{**q, "closed_book": {} if q["id"] == "q2" else {"strong": "A draft."}} for q in QUESTIONS]
    write_lines(plan.questions, questions)
    report = await run(replace(plan, arms=("rag", "combined"), retrieval_only=True))
    combined, rag = report.cell("combined", "page R@5"), report.cell("rag", "page R@5")
    assert [(f.case, f.arm) for f in report.failures] == [("q2", "combined")]
    assert combined is not None
    assert combined.difference is not None
    assert rag is not None
    assert (combined.value.cases, combined.difference.cases, rag.value.cases) == (2, 2, 3)


async def test_an_interrupted_run_goes_on_where_it_was(plan: Plan) -> None:
    plan = replace(plan, arms=("rag",))
    whole = await run(plan, models())
    records = plan.out / "records.jsonl"
    lines = records.read_bytes().splitlines(keepends=True)
    records.write_bytes(b"".join(lines[:3]) + lines[3][:20])  # killed while it wrote the third record
    answerer = ScriptedChatModel(quoting, name="quoting")
    again = await run(plan, models(answerer))
    assert again.cells == whole.cells or [c.value.value for c in again.cells if "ms" not in c.metric] == [
        c.value.value for c in whole.cells if "ms" not in c.metric
    ]
    assert len(answerer.requests) == 1  # q3; q4 is abstained from without asking
    assert len(records.read_bytes().splitlines()) == 1 + len(QUESTIONS)


async def test_failures_are_tried_again_by_the_next_run(plan: Plan) -> None:
    plan = replace(plan, arms=("rag",))
    assert (await run(plan, models(down_for("Which files")))).failures
    assert not (await run(plan, models())).failures


async def test_a_run_with_other_settings_does_not_mix_with_the_earlier_one(plan: Plan) -> None:
    plan = replace(plan, arms=("rag",))
    await run(plan, models())
    other = models(ScriptedChatModel(quoting, name="another"))
    with pytest.raises(EvaluationError, match="--fresh"):
        await run(plan, other)
    assert not (await run(replace(plan, fresh=True), other)).failures


async def test_an_unreadable_verdict_leaves_the_answer_unscored(plan: Plan) -> None:
    judge = ScriptedChatModel(["SCORE: 5", "no idea", "SCORE: 1"], name="strict")
    report = await run(replace(plan, arms=("rag",)), models(judge=judge))
    cell = report.cell("rag", "judge strict")
    assert cell is not None
    assert (cell.value.value, cell.value.cases) == (0.5, 2)


async def test_models_are_compared_on_the_same_cases(plan: Plan) -> None:
    plan = replace(plan, models=("quoting", "silent"))
    served = replace(models(), answerers={"quoting": ScriptedChatModel(quoting), "silent": ScriptedChatModel(["No."])})
    report = await run(plan, served)
    quoting_f1, silent_f1 = report.cell("rag:quoting", "F1"), report.cell("rag:silent", "F1")
    assert quoting_f1 is not None
    assert silent_f1 is not None
    assert quoting_f1.value.value > silent_f1.value.value


def test_an_unknown_arm_is_named() -> None:
    with pytest.raises(EvaluationError, match="rga"):
        choose(["rga"])


def test_each_model_whose_drafts_are_replayed_has_its_own_arm() -> None:
    names = [arm.name for arm in expand(choose(["rag", "combined", "shuffled"]), ("a", "b"))]
    assert names == ["rag", "combined:a", "combined:b", "shuffled"]


def test_an_arm_that_only_answers_cannot_be_run_without_answers(plan: Plan) -> None:
    plan = replace(plan, retrieval_only=True, arms=("finetuned",))
    with pytest.raises(EvaluationError, match="finetuned"):
        arms_of(plan, cases_of(plan))
