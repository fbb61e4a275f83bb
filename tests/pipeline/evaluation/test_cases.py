from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import EvaluationError
from pipeline.evaluation.cases import GoldSection, read_cases, sample, with_drafts
from pipeline.evaluation.corpus import with_known_gold
from tests.pipeline.evaluation.support import QUESTIONS, case, make_corpus, write_lines


def test_both_formats_give_the_same_kind_of_case(tmp_path: Path) -> None:
    other = {
        "id": "r1", "question": "Why?", "page": "p", "section_ids": ["s7"], "closed_book": {"strong": "So."},
        "reference_answer": "Because.",
    }  # fmt: skip
    first, second = read_cases(write_lines(tmp_path / "q.jsonl", [QUESTIONS[0], other]))
    assert (first.pages, first.sections) == (("alerts.md",), (GoldSection("alerts.md", "Default window"),))
    assert (second.pages, second.sections) == (("p",), (GoldSection("p", "s7"),))
    assert (second.drafts, second.reference) == ({"strong": "So."}, "Because.")


@pytest.mark.parametrize(
    ("records", "named"),
    [
        ([QUESTIONS[0], {**QUESTIONS[1], "id": "q1"}], "q1"),
        ([QUESTIONS[0], {**QUESTIONS[0], "id": "q9"}], QUESTIONS[0]["question"]),
        ([{**QUESTIONS[0], "gold_pages": []}], "without gold pages.*q1"),
        ([{"id": "q1"}], "line 1"),
        ([{**QUESTIONS[0], "split": "test"}], "it has: test"),
    ],
)
def test_questions_that_cannot_be_used_are_named(tmp_path: Path, records: list[dict[str, Any]], named: str) -> None:
    with pytest.raises(EvaluationError, match=named):
        read_cases(write_lines(tmp_path / "q.jsonl", records), split="dev")


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('\n{"id": ')
    with pytest.raises(EvaluationError, match="line 2"):
        read_cases(tmp_path / "q.jsonl")


async def test_gold_that_is_not_in_the_corpus_is_listed() -> None:
    wrong = [
        case(id="a", pages=("nowhere.md",), sections=()),
        case(id="b", sections=(GoldSection("alerts.md", "No such heading"),)),
        case(id="c"),
    ]
    with pytest.raises(EvaluationError, match=r"a nowhere\.md; b alerts\.md > No such heading\.$"):
        await with_known_gold(wrong, await make_corpus())


async def test_a_page_may_be_named_by_the_end_of_its_location() -> None:
    class Published:
        fingerprint = ""

        async def pages(self) -> list[str]:
            return ["https://docs.example.com/a/alerts.md", "https://docs.example.com/b/roles.md"]

    (found,) = await with_known_gold([case(pages=("a/alerts.md",), sections=())], Published())  # type: ignore[arg-type]  # no more is asked of it
    assert found.pages == ("https://docs.example.com/a/alerts.md",)


@pytest.mark.parametrize(
    ("drafts", "named"),
    [
        ([{"id": "q1", "draft": "x"}], "lacks drafts: q2"),
        ([{"id": "q7", "draft": "x"}], "lacks drafts: q1"),
        ([{"id": "q1", "draft": "x"}, {"id": "q1", "draft": "y"}], "two drafts.*q1"),
        ([{"id": "q1", "text": "x"}], "needs id and draft"),
    ],
)
def test_a_replay_file_that_does_not_match_is_refused(tmp_path: Path, drafts: list[dict[str, Any]], named: str) -> None:
    cases = [case(id="q1"), case(id="q2", question="Other?")]
    with pytest.raises(EvaluationError, match=named):
        with_drafts(cases, write_lines(tmp_path / "d.jsonl", drafts))


def test_drafts_of_other_questions_are_no_error_where_only_a_part_is_run(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "d.jsonl", [{"id": name, "draft": name, "model": "m"} for name in ("q1", "q2")])
    assert with_drafts([case(id="q1")], file)[0].drafts == {"m": "q1"}


def test_a_sample_has_all_kinds_and_is_the_same_each_time() -> None:
    cases = [case(id=f"{kind}{at}", kind=kind) for kind in ("a", "b", "c") for at in range(10)]
    chosen = sample(cases, 6)
    assert [c.kind for c in chosen] == ["a", "a", "b", "b", "c", "c"]
    assert chosen == sample(cases, 6)
    assert sample(cases, 99) == tuple(cases)
