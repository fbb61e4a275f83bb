"""An adapter is promoted if it is better at what it is for, beyond chance, and harms nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.evaluation.arms import BASELINE
from pipeline.evaluation.bootstrap import Estimate
from pipeline.evaluation.promotion import CANDIDATE, CURRENT, RANKING, UNSUPPORTED, WORDS, arms_for, decide, shown
from pipeline.evaluation.report import ALL, Cell, Failure, Report
from pipeline.types import Role

BETTER, WORSE, NEITHER = (0.05, 0.01, 0.09), (-0.05, -0.09, -0.01), (0.01, -0.03, 0.05)
Difference = tuple[float, float, float]


def report(baseline: str = CURRENT, *, measurable: bool | None = True, **differences: Difference) -> Report:
    """Of a candidate: metric -> value, low and high of its difference to `baseline`."""
    names = {"ranking": RANKING, "words": WORDS, "unsupported": UNSUPPORTED}
    value = Estimate(0.5, 0.4, 0.6, 90)
    cells = tuple(
        Cell(CANDIDATE, ALL, names[name], value, Estimate(*found, cases=90)) for name, found in differences.items()
    )
    uses = None if measurable is None else Estimate(0.3, 0.2 if measurable else -0.1, 0.4, 90)
    return Report("", {}, (baseline, CANDIDATE), {}, baseline, cells, (), uses, ())


@pytest.mark.parametrize(
    ("role", "ranking", "words", "unsupported", "better"),
    [
        (Role.DRAFT, BETTER, NEITHER, NEITHER, True),
        (Role.DRAFT, NEITHER, BETTER, NEITHER, False),
        (Role.DRAFT, WORSE, BETTER, NEITHER, False),
        (Role.DRAFT, BETTER, WORSE, NEITHER, False),
        (Role.DRAFT, BETTER, NEITHER, BETTER, False),
        (Role.ANSWER, NEITHER, BETTER, NEITHER, True),
        (Role.ANSWER, NEITHER, BETTER, WORSE, True),
        (Role.ANSWER, BETTER, NEITHER, NEITHER, False),
        (Role.ANSWER, NEITHER, BETTER, BETTER, False),
    ],
    ids=lambda value: "" if isinstance(value, tuple) else str(value),
)
def test_what_it_is_for_must_be_better_beyond_chance_and_the_rest_not_worse(
    role: Role, ranking: Difference, words: Difference, unsupported: Difference, better: bool
) -> None:
    """Of `unsupported`, more is worse."""
    found = decide(role, report(ranking=ranking, words=words, unsupported=unsupported), None)
    assert found.better is better
    assert len(found.figures) == 3


@pytest.mark.parametrize(("below", "better"), [(-0.009, True), (-0.011, False)])
def test_retrieval_with_it_may_not_be_more_than_a_hundredth_below_the_question_alone(
    below: float, better: bool
) -> None:
    hybrid = report(BASELINE, ranking=(below, -0.05, 0.02))
    found = decide(Role.DRAFT, report(ranking=BETTER), hybrid)
    assert found.better is better
    assert found.figures[-1].against == BASELINE


def test_answers_that_cannot_be_measured_are_left_out_with_the_reason() -> None:
    unmeasured = report(measurable=False, ranking=BETTER, words=WORSE, unsupported=BETTER)
    found = decide(Role.DRAFT, unmeasured, None)
    assert found.better
    assert "not measurable" in found.notes[0]
    assert [figure.metric for figure in found.figures] == [RANKING]
    refused = decide(Role.ANSWER, unmeasured, None)
    assert not refused.better
    assert "no F1" in refused.reasons[0]


def test_drafts_compared_by_retrieval_alone_say_so() -> None:
    found = decide(Role.DRAFT, report(measurable=None, ranking=BETTER), None)
    assert found.better
    assert "--retrieval-only" in found.notes[0]


def test_a_candidate_that_fails_on_questions_is_refused() -> None:
    failed = replace(report(ranking=BETTER), failures=(Failure(CANDIDATE, "q1", "ModelUnavailable: down"),))
    found = decide(Role.DRAFT, failed, None)
    assert "1 questions failed" in found.reasons[0]


def test_a_refusal_shows_the_difference_with_its_interval() -> None:
    (reason,) = decide(Role.DRAFT, report(ranking=NEITHER), None).reasons
    assert "page nDCG@10 +0.010 (-0.030 to +0.050) to in-service, 90 questions" in reason
    (figure,) = decide(Role.DRAFT, report(ranking=WORSE, measurable=None), None).figures
    assert shown(figure) == "page nDCG@10 -0.050 (-0.090 to -0.010) to in-service, 90 questions"


def test_each_role_has_its_arms() -> None:
    drafting = arms_for(Role.DRAFT, current="tgi", candidate="docs", answers=False)
    assert [(arm.name, arm.drafter, arm.model) for arm in drafting] == [
        ("rag", "", ""), (CURRENT, "tgi", ""), (CANDIDATE, "docs", "")
    ]  # fmt: skip
    answering = arms_for(Role.ANSWER, current="tgi", candidate="docs", answers=True)
    assert [(arm.name, arm.drafter, arm.model) for arm in answering] == [
        (CURRENT, "", "tgi"), (CANDIDATE, "", "docs"), ("gold-passages", "", "docs"), ("random-passages", "", "docs")
    ]  # fmt: skip
