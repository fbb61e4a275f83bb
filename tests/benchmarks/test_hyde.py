"""The HyDE comparison's figures come from what the systems reported and the model server saw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.frameworks.hyde import choose_pages
from benchmarks.frameworks.hyde_promptai import ranking
from benchmarks.frameworks.hyde_report import BASELINE, Row, row, table
from benchmarks.frameworks.model_server import ModelServer, Served
from benchmarks.frameworks.replay import Kind, Replay
from benchmarks.waiting_server import H100
from pipeline.types import Answer, Draft, Hit, Mode, Passage, Speculation

GOLD = {"q1": "a", "q2": "b"}
VARIANT: dict[str, Any] = {
    "name": "system",
    "settings": "as documented",
    "asked": [
        {"question": "q1", "began": 1.0, "first": 1.5, "ended": 2.0, "processor": 0.1, "pages": ["a", "b"]},
        {
            "question": "q2",
            "began": 3.0,
            "first": 3.5,
            "ended": 5.0,
            "processor": 0.3,
            "pages": ["x", "y", "z", "w", "v", "b"],
        },
    ],
}


def test_a_row_holds_gains_waits_and_the_tokens_of_its_own_questions() -> None:
    server = ModelServer(Replay({}, {}), H100, scale=4)
    server.served = [
        Served("system", "q1", Kind.DRAFT, 10, 20),
        Served("system", "q2", Kind.ANSWER, 30, 40),
        Served("system", "warm", Kind.DRAFT, 1000, 1000),
        Served("another", "q1", Kind.DRAFT, 1000, 1000),
    ]
    found = row(VARIANT, GOLD, server)
    assert found.gains == {"q1": 1.0, "q2": pytest.approx(0.3562, abs=1e-4)}
    assert found.found == {"q1": True, "q2": False}
    assert (found.first, found.served, found.total) == ([0.5, 0.5], [0.0, 0.0], [1.0, 2.0])
    assert found.processor == [0.1, 0.3]
    assert (found.read, found.written) == (20, 30)


def test_differences_are_to_the_baseline_which_has_none() -> None:
    baseline = Row(
        BASELINE,
        "",
        {"q1": 1.0, "q2": 0.5},
        {"q1": True, "q2": True},
        [1.0, 1.0],
        [0.8, 0.8],
        [0.1, 0.1],
        [2.0, 2.0],
        1,
        1,
    )
    better = replace(baseline, name="better", gains={"q1": 1.0, "q2": 1.0})
    lines = table([baseline, better])
    assert "| promptai, always | 0.750 |  |  | 1.000 | 1.00 / 1.00 | 0.80 / 0.80 | 100 |" in lines[2]
    assert "| better | 1.000 | +0.250 | +0.000 to +0.500 |" in lines[3]


def test_pages_that_questions_ask_for_come_first_with_all_their_records(tmp_path: Path) -> None:
    records = [{"page": page, "text": str(at)} for at, page in enumerate(["x", "y", "gold", "x", "gold"])]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, records)))
    (tmp_path / "dev-questions.jsonl").write_text(json.dumps({"page": "gold"}))
    assert [record["page"] for record in choose_pages(tmp_path, 2)] == ["x", "gold", "x", "gold"]
    assert len(choose_pages(tmp_path, None)) == 5


def hit(name: str) -> Hit:
    return Hit(Passage(name, "d", "shared", f"{name}#part", "Page", ("Page",), "text", 0), 1.0, (), 1.0)


class Ranking:
    """A retriever that finds one passage by the question and one by the draft."""

    async def retrieve(
        self, question: str, *, draft: str | None, tenant: str, k: int, trust: float | None = None
    ) -> tuple[Hit, ...]:
        return (hit("same"), hit(draft or "alone"))


def answer(outcome: str | None) -> Answer:
    speculation = Speculation(outcome) if outcome else None
    return Answer("", False, Mode.COMBINED, draft=Draft("draft", "model"), speculation=speculation)


@pytest.mark.parametrize(
    ("outcome", "page"),
    [(None, "draft"), ("waited", "draft"), ("restarted", "draft"), ("kept", "alone"), ("skipped", "alone")],
)
async def test_the_ranking_is_that_of_what_the_answers_passages_were_found_with(outcome: str | None, page: str) -> None:
    retriever: Any = Ranking()
    assert await ranking(retriever, "q", [hit("same")], answer(outcome)) == ["same", page]


async def test_passages_found_by_a_drafts_items_come_before_those_found_by_the_whole() -> None:
    retriever: Any = Ranking()
    assert await ranking(retriever, "q", [hit("item"), hit("same")], answer(None)) == ["item", "same", "same", "draft"]
