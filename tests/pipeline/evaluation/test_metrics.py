from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.bootstrap import Bootstrap
from pipeline.evaluation.calibration import curve
from pipeline.evaluation.details import details, unsupported
from pipeline.evaluation.judge import read_verdict
from pipeline.evaluation.markdown import threshold
from pipeline.evaluation.metrics import answered, ranked
from pipeline.evaluation.records import Answered, Cited, Found, Record
from tests.pipeline.evaluation.support import case


def found(*pages: str) -> tuple[Found, ...]:
    return tuple(Found(page, f"{page}#x", 0.5) for page in pages)


def score(answer: Answered, **values: object) -> dict[str, tuple[float, float]]:
    question = case(**values)
    return {
        name: by_case[question.id]
        for name, by_case in answered([question], {question.id: Record(question.id, "rag", answer=answer)}).items()
    }


def test_a_page_stands_where_its_best_passage_does() -> None:
    scores = ranked([case()], {"q1": Record("q1", "rag", found=found("b.md", "b.md", "alerts.md"))})
    assert scores["page R@1"]["q1"] == (0.0, 1.0)
    assert scores["page RR@10"]["q1"] == (0.5, 1.0)
    assert scores["page nDCG@10"]["q1"][0] == pytest.approx(1 / np.log2(3))


def test_nothing_found_is_zero_and_nothing_wanted_is_no_score() -> None:
    cases = [case(), case(id="q2", kind="unanswerable", pages=(), sections=())]
    scores = ranked(cases, {"q1": Record("q1", "rag"), "q2": Record("q2", "rag", found=found("a.md"))})
    assert scores["page R@10"] == {"q1": (0.0, 1.0)}


def test_sections_are_counted_apart_from_pages() -> None:
    hits = (Found("alerts.md", "alerts.md#other", 0.5), Found("alerts.md", "alerts.md > Default window", 0.4))
    scores = ranked([case()], {"q1": Record("q1", "rag", found=hits)})
    assert (scores["page R@1"]["q1"][0], scores["section R@1"]["q1"][0], scores["section R@5"]["q1"][0]) == (1, 0, 1)


def test_details_that_no_passage_holds_are_counted() -> None:
    text = "Set `max_retries` to 5 and call get_user in Live View [1]; wait 1,500 ms."
    assert details(text) == ("5", "1500", "max_retries", "get_user", "live view")
    assert unsupported(text, "max_retries is 150. The live view waits 1500 ms; call get_user.") == (1, 5)


def test_an_answers_scores() -> None:
    answer = Answered(
        "It is 5 minutes [1]. Bananas grow in hot places [2].", False,
        (Cited(1, "alerts.md", 0), Cited(2, "roles.md", 1)),
        ("Quality alerts: it is 5 minutes.", "The owner role."),
    )  # fmt: skip
    scores = score(answer, items=("5 minutes", "Weekly report"))
    assert scores["citation precision"] == (1, 2)
    assert scores["citation recall"] == (1, 1)
    assert scores["citation support"] == (1, 2)
    assert scores["items said"] == (0.5, 1)
    assert scores["items shown"] == (0.5, 1)
    assert scores["F1"][0] == pytest.approx(2 * 4 / (9 + 4))
    assert scores["ROUGE-L"][0] == pytest.approx(2 * 4 / (9 + 4))
    assert "abstention precision" not in scores


def test_an_abstention_is_right_only_where_there_is_no_answer() -> None:
    abstained = Answered("The documentation does not say.", True)
    assert score(abstained)["abstention precision"] == (0, 1)
    assert "abstention recall" not in score(abstained)
    unanswerable = score(abstained, kind="unanswerable", pages=(), sections=())
    assert (unanswerable["abstention precision"], unanswerable["abstention recall"]) == ((1, 1), (1, 1))
    assert "F1" not in unanswerable


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("It says all.\nSCORE: 5", 1.0),
        ("**Score: 3**", 0.5),
        ("SCORE: 1\nNo, wait.\nSCORE: 2", 0.25),
        ("SCORE: 7", None),
        ("SCORE: 45", None),
        ("SCORE: 4/5", None),
        ("I would rather not say.", None),
    ],
)
def test_a_verdict_that_cannot_be_read_is_no_score(text: str, verdict: float | None) -> None:
    assert read_verdict(text) == verdict


def test_a_difference_is_paired_and_keeps_to_the_common_cases() -> None:
    ids = [f"q{at}" for at in range(40)]
    worse = {name: (at % 2 / 2, 1.0) for at, name in enumerate(ids)}
    better = {name: (value + 0.1, 1.0) for name, (value, _) in worse.items()} | {"q0": (99.0, 1.0)}
    estimate = Bootstrap(ids).difference(better, worse, set(ids) - {"q0"})
    assert estimate is not None
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.1, 0.1, 0.1))
    assert estimate.cases == 39


def test_the_interval_of_a_mean_is_about_two_standard_errors() -> None:
    ids = [str(at) for at in range(400)]
    estimate = Bootstrap(ids).value({name: (float(at % 2), 1.0) for at, name in enumerate(ids)})
    assert estimate is not None
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.5, 0.451, 0.549), abs=0.004)


def test_the_threshold_that_spares_more_than_it_loses_is_best() -> None:
    cases = [case(id=str(at), pages=("a.md",) if at > 3 else ("none.md",)) for at in range(10)]
    records = {
        c.id: Record(c.id, "rag", found=(Found("a.md", "a.md", 0.2 if at <= 3 else 0.6),)) for at, c in enumerate(cases)
    }
    result = curve("rag", cases, records)
    assert result is not None
    assert result.best == pytest.approx(0.21)
    point = result.chosen
    assert (point.coverage, point.accuracy, point.spared, point.lost) == (0.6, 1.0, 4, 0)
    assert (result.split, result.elsewhere) == ("", {})


def test_the_threshold_is_chosen_on_dev_and_judged_on_test() -> None:
    """The test half alone would ask for a higher one."""
    halves = {"dev": (0.2, 0.6), "test": (0.5, 0.6)}
    cases = [
        case(id=f"{half}{good}", split=half, pages=("a.md",) if good else ("b.md",))
        for half in halves
        for good in (0, 1)
    ]
    records = {c.id: Record(c.id, "rag", found=(Found("a.md", "a.md", halves[c.split][int(c.id[-1])]),)) for c in cases}
    result = curve("rag", cases, records)
    assert result is not None
    assert (result.split, result.best) == ("dev", pytest.approx(0.21))
    assert (result.chosen.coverage, result.chosen.spared) == (0.5, 1)
    assert {name: (point.coverage, point.accuracy, point.spared) for name, point in result.elsewhere.items()} == {
        "test": (1.0, 0.5, 0)
    }
    assert threshold(result).startswith("PROMPTAI_MIN_SIMILARITY=0.21, chosen on dev, on dev answers 50%")
    assert "; on test answers 100%" in threshold(result)
