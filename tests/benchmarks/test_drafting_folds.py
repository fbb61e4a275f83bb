"""Thresholds of drafting are chosen without the questions that they are judged on."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.drafting_courses import Courses
from benchmarks.drafting_data import Data, drafts_in
from benchmarks.drafting_folds import RAG, Bench, policy_of, rows
from benchmarks.drafting_thresholds import Setting, Tried, choose, chosen_on_folds, grid, shipped
from benchmarks.retrieval_folds import FOLDS, folds_of
from benchmarks.waiting import Policy, Result, ask_one
from benchmarks.waiting_drafts import calibrated
from benchmarks.waiting_known import Hits, Kind, Known, Replayed, key
from benchmarks.waiting_server import A100, JumpingLoop, Server, prompt_of
from pipeline import prompts
from pipeline.evaluation.cases import Case
from pipeline.llm import Token
from pipeline.speculation import Drafting
from pipeline.types import Hit
from pipeline.verdict import BOUNDS
from tests.fakes.samples import HIT, PASSAGE

ALL = np.ones(4, dtype=bool)
HYBRID = np.full(4, 0.5)


def tried(quality: Any, slower: Any) -> Tried:
    return Tried(np.broadcast_to(quality, (4,)).astype(float), np.broadcast_to(slower, (2, 4)).astype(float))


@pytest.mark.parametrize(
    ("settings", "always", "chosen"),
    [
        ([tried(0.7, 2.0), tried(0.66, 1.2), tried(0.65, 1.0)], 0.7, 1),  # .66 of .7 is just 80% of the gain
        ([tried(0.6, 2.0), tried(0.62, 1.9), tried(0.5, 1.0)], 0.9, 1),  # none keeps enough: the best
        ([tried(0.45, 1.0), tried(0.5, 1.5)], 0.4, 1),  # always loses: not worse than hybrid
        ([tried(0.7, 1.0), tried(0.8, 1.0)], 0.7, 0),  # equal in time: the shipped one, which is first
    ],
)
def test_the_fastest_setting_is_chosen_that_keeps_four_fifths_of_the_gain(
    settings: list[Tried], always: float, chosen: int
) -> None:
    assert choose(settings, HYBRID, np.full(4, always), ALL) == chosen


def test_the_questions_of_a_fold_have_no_say_in_what_it_is_judged_with() -> None:
    folds = np.repeat(np.arange(FOLDS), 4)
    random = np.random.default_rng(0)
    hybrid = random.random(20)
    always = dict.fromkeys(range(FOLDS), hybrid + 0.1)
    settings = [Tried(hybrid + random.normal(0.1, 0.2, 20), 1 + random.random((2, 20))) for _ in range(6)]
    before = chosen_on_folds(dict.fromkeys(range(FOLDS), settings), hybrid, always, folds)
    worst = [
        Tried(
            np.where(folds == 2, random.random(20), each.quality),
            np.where(folds == 2, 9 * random.random(20), each.slower),
        )
        for each in settings
    ]
    after = chosen_on_folds(dict.fromkeys(range(FOLDS), worst), hybrid, always, folds)
    assert after[2] == before[2]
    assert after != before


def test_what_is_tried_begins_with_what_is_shipped_and_repeats_nothing() -> None:
    for kind in Kind:
        for drafting in (Drafting.GATED, Drafting.SPECULATIVE):
            settings = grid(kind, drafting)
            assert settings[0] == shipped(kind)
            assert len(set(settings)) == len(settings)


def test_a_drafts_trust_is_calibrated_without_its_own_fold_and_without_the_judged_one() -> None:
    cases = [Case(f"q{at}", f"Question {at}?", pages=(f"page-{at % 30}",)) for at in range(120)]
    folds = folds_of([case.pages[0] for case in cases])
    right = [replace(HIT, score=at / 120, passage=replace(PASSAGE, location=f"page-{at % 30}")) for at in range(120)]
    wrong = [replace(hit, passage=replace(PASSAGE, location="another")) for hit in right]
    mixed = [wrong[at] if folds[at] == 1 else right[at] for at in range(120)]  # all wrong in the judged fold
    assert set(calibrated(cases, mixed, without=1)) == {1.0}
    assert min(calibrated(cases, mixed)) < 1.0


def hits(*titles: str) -> tuple[Hit, ...]:
    return tuple(
        replace(
            HIT,
            passage=replace(
                PASSAGE, id=f"{title} {at}", location=f"{title}#{at}", heading_path=(title, "Part"), text="word " * 80
            ),
        )
        for title in titles
        for at in range(2)
    )


def known(draft: str, probability: float, best: str = "Alerts", named: str = "Billing") -> Known:
    """A question that finds `best`, and a draft whose title is so probable."""
    tokens = [draft[:4], draft[4:]]
    replayed = Replayed(draft, [math.log(probability), 0.0], tokens)
    alone = hits(best, "Metrics", named)
    found = Known((best, "Metrics", named), Hits(alone, alone), {Kind.KNOWN: replayed})
    whole = replayed.heard[-1].draft()
    assert whole is not None
    swapped = hits(named, best, "Metrics")
    found.drafted[key(Kind.KNOWN, whole.text, whole.trust)] = Hits(swapped, swapped)
    for first in (True, False):
        order = swapped if first else (alone[0], hits(named)[0], *alone[1:-2])
        found.named[named, first] = Hits(order, order)
    return found


CASE = Case("q", "What does it cost?", pages=("Billing",))


def alone(policy: Policy, one: Known) -> Result:
    """As it is simulated without anything remembered."""
    seen = [prompt_of(prompts.draft_messages("", trained=True)), prompt_of(prompts.answer_messages("", []))]
    server = Server(A100, seen)
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(ask_one(policy, Kind.KNOWN, server, server, CASE, {CASE.standalone: one}))


@pytest.mark.parametrize("drafting", [Drafting.GATED, Drafting.SPECULATIVE])
@pytest.mark.parametrize("probability", [0.15, 0.35, 0.7])
def test_a_course_that_was_simulated_for_another_setting_comes_out_as_if_simulated_anew(
    drafting: Drafting, probability: float
) -> None:
    one = known("Billing > Prices", probability)
    courses = Courses(Kind.KNOWN)
    for setting in grid(Kind.KNOWN, drafting)[::7]:
        policy = policy_of(drafting, setting)
        assert courses.result(policy, A100, CASE, one) == alone(policy, one)


def test_thresholds_decide_what_becomes_of_a_draft() -> None:
    one = known("Billing > Prices", 0.35)
    courses = Courses(Kind.KNOWN)

    def outcome(doubted: float, believed: float) -> tuple[str, float]:
        bounds = replace(BOUNDS, doubted=doubted, believed=believed)
        found = courses.result(policy_of(Drafting.GATED, Setting(bounds, 12)), A100, CASE, one)
        return found.outcome, round(found.page, 2)

    assert outcome(0.4, 0.5) == ("doubted", 0.5)
    assert outcome(0.2, 0.5) == ("added", 0.63)
    assert outcome(0.2, 0.3) == ("named", 1.0)
    assert courses.result(RAG, A100, CASE, one).page == 0.5


def test_the_report_shows_both_ways_to_draft_as_shipped_and_as_the_folds_chose() -> None:
    cases = [Case(f"q{at}", f"Question {at}?", pages=("Billing" if at % 2 else f"page {at}",)) for at in range(10)]
    found = {case.standalone: known("Billing > Prices", 0.35 + at / 20) for at, case in enumerate(cases)}
    bench = Bench(Data("toy", Kind.KNOWN, cases, [found] * FOLDS))
    table = list(rows(bench, bench))
    assert [line.split(" | ")[1:3] for line in table[:-1]] == [
        ["always", ""],
        ["gated", "shipped"], ["gated", "by folds"], ["gated", "by dev half"],
        ["speculative", "shipped"], ["speculative", "by folds"], ["speculative", "by dev half"],
    ]  # fmt: skip
    assert table[-1].count("fold ") == 2 * FOLDS


def test_a_recorded_draft_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    file = tmp_path / "drafts.jsonl"
    file.write_text(json.dumps(["Why?", [["Alerts", -0.5]]]) + "\n" + '["How?", [["Bil')
    assert drafts_in(file) == {"Why?": [Token("Alerts", -0.5)]}
    assert drafts_in(tmp_path / "none.jsonl") == {}
