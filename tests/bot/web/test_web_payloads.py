"""Values to JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from bot.conversation import Exchange
from bot.messages import Person, Vote
from bot.web.payloads import answer_json, exchange_json, hits_json, number
from pipeline.types import Answer, Mode, Speculation
from tests.fakes import web_sample as sample

EXCHANGE = Exchange("q-1", "why?", Person("w-1"), "a-1", sample.answer(), None, "r-1", Vote.UP)


def test_an_answer_tells_how_it_came_about() -> None:
    answer = answer_json(sample.answer())
    assert [citation["number"] for citation in answer["citations"]] == [1, 2, 3]
    assert answer["draft"]["model"] == "streaming-qoe-lora"
    assert answer["timings_ms"] == {"draft": 870.0, "retrieve": 64.0, "first_token": 1510.0, "total": 4230.0}
    assert answer["mode"] == "combined"
    assert answer["models"] == ["streaming-qoe-lora", "llama-3.3-70b-instruct"]


def test_a_hit_tells_its_scores_and_which_query_found_it() -> None:
    hit = hits_json(sample.hits())[0]
    assert (hit["title"], hit["heading_path"]) == ("Live events", ["Live events", "The five numbers to watch"])
    assert (hit["score"], hit["similarity"]) == (0.0489, 0.512)
    assert hit["found_by"][0] == {"query": "dense(question)", "rank": 3, "score": 0.512, "weight": 1.0}


def test_a_finetuned_answer_has_neither_draft_nor_passages() -> None:
    answer = answer_json(Answer("Yes.", abstained=False, mode=Mode.FINETUNED))
    assert answer["draft"] is None
    assert (answer["hits"], answer["citations"]) == ([], [])
    assert answer["timings_ms"]["retrieve"] is None


def test_an_answer_tells_that_its_draft_was_too_late() -> None:
    answer = answer_json(replace(sample.answer(), draft=None, speculation=Speculation("late")))
    assert (answer["draft"], answer["draft_outcome"]) == (None, "late")
    assert answer_json(sample.answer())["draft_outcome"] is None


def test_numbers_that_json_does_not_know_become_null() -> None:
    assert (number(float("nan")), number(float("inf")), number(None)) == (None, None, None)
    hit = replace(sample.hits()[0], score=float("nan"))
    assert "NaN" not in json.dumps(hits_json([hit]))


def test_an_answered_exchange_carries_the_persons_vote() -> None:
    shown = exchange_json(EXCHANGE)
    assert (shown["reply"]["reply_id"], shown["reply"]["vote"], shown["apology"]) == ("r-1", "up", None)


def test_an_exchange_without_an_end_has_neither_reply_nor_apology() -> None:
    shown = exchange_json(replace(EXCHANGE, answer=None, answer_id=None, vote=None))
    assert (shown["reply"], shown["apology"]) == (None, None)


def test_an_apologised_exchange_says_so() -> None:
    shown = exchange_json(replace(EXCHANGE, answer=None, answer_id=None, apology="Sorry. (error e-1)"))
    assert (shown["reply"], shown["apology"]) == (None, {"text": "Sorry. (error e-1)", "error_id": None})
