"""What benchmarks/example_retrieval.py measures is what its table says."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from benchmarks.example_retrieval import GAIN, HITS, RECALL, pages_for, rows_of, score


def question(number: int, kind: str, *gold: str, before: str = "") -> dict:
    history = [{"question": before, "answer": "Yes."}] if before else []
    return {"id": f"q{number}", "kind": kind, "question": f"question {number}", "history": history, "gold_pages": gold}


class Found:
    """Finds the same locations for every question."""

    def __init__(self, *locations: str) -> None:
        self.locations = locations

    async def retrieve(self, question, *, draft, tenant, k, trust=None):
        assert (draft, k) == (None, HITS)
        return [SimpleNamespace(passage=SimpleNamespace(location=location)) for location in self.locations]


async def test_a_page_stands_where_its_best_passage_does():
    """Anchors are left out, a page is named once, and no more than ten are kept."""
    many = [f"p{n}.md#x" for n in range(12)]
    assert await pages_for("?", Found("a.md#one", "b.md", "a.md#two", *many)) == [
        "a.md",
        "b.md",
        *(f"p{n}.md" for n in range(8)),
    ]


def test_gain_and_recall_are_counted_over_all_gold_pages():
    """Two gold pages at ranks 1 and 6: half of them are among the first five."""
    scores = score([question(1, "direct", "a.md", "b.md")], [["a.md", "x1", "x2", "x3", "x4", "b.md"]])
    assert scores["q1"][RECALL] == pytest.approx(0.5)
    assert scores["q1"][GAIN] == pytest.approx((1 + 1 / math.log2(7)) / (1 + 1 / math.log2(3)))


def test_a_question_for_which_nothing_gold_is_found_counts_as_zero():
    """It lowers the mean instead of leaving it."""
    scores = score([question(1, "direct", "a.md"), question(2, "direct", "b.md")], [["a.md"], ["x.md"]])
    assert [scores[each][GAIN] for each in ("q1", "q2")] == [1.0, 0.0]


def test_follow_ups_are_asked_alone_and_behind_the_question_before():
    """They make two rows; questions without an answer are in their own row and not in the last one."""
    asked = [
        question(1, "direct", "a.md"),
        question(2, "follow-up", "b.md", before="And b?"),
        question(3, "unanswerable"),
    ]
    rows = {row.name: [row.ask(each) for each in row.questions] for row in rows_of(asked)}
    assert rows == {
        "direct": ["question 1"],
        "follow-up, alone": ["question 2"],
        "follow-up, behind the question before": ["And b?\nquestion 2"],
        "unanswerable": ["question 3"],
        "all of them, alone": ["question 1", "question 2"],
    }
