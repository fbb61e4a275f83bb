"""Requests to values, and what a wrong one is told."""

from __future__ import annotations

import pytest

from bot.messages import Vote
from bot.web.requests import Asking, BadRequest, Voting, parse_asking, parse_object, parse_voting


def test_a_question_is_stripped_and_kept_otherwise() -> None:
    assert parse_asking({"text": "  why?\n\n```\ncode\n```  "}) == Asking("why?\n\n```\ncode\n```", None, None)


@pytest.mark.parametrize("text", ["مرحبا، كيف الحال؟", "👩‍💻 emoji 🇫🇷", "x" * 40_000, "<script>alert(1)</script>"])
def test_every_kind_of_text_is_accepted_as_it_is(text: str) -> None:
    assert parse_asking({"text": text}).text == text


def test_what_no_database_takes_is_replaced() -> None:
    assert parse_asking({"text": "a\x00b\ud800c"}).text == "ab\ufffdc"


@pytest.mark.parametrize("text", ["", "   \n\t ", "\x00", "\u2003"])
def test_an_empty_question_is_answered_kindly(text: str) -> None:
    with pytest.raises(BadRequest, match="Type a question first"):
        parse_asking({"text": text})


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({}, '"text"'),
        ({"text": 3}, '"text"'),
        ({"text": "why?", "conversation": 3}, '"conversation"'),
        ({"text": "why?", "message": "short"}, '"message"'),
        ({"text": "why?", "message": "a b c d e f"}, '"message"'),
        ({"text": "why?", "message": ["x" * 8]}, '"message"'),
    ],
)
def test_a_wrong_question_is_told_which_field_is_wrong(value: dict[str, object], names: str) -> None:
    with pytest.raises(BadRequest, match=names):
        parse_asking(value)


@pytest.mark.parametrize(("sent", "vote"), [("up", Vote.UP), ("down", Vote.DOWN), (None, None)])
def test_a_vote_is_up_down_or_nothing(sent: str | None, vote: Vote | None) -> None:
    assert parse_voting({"conversation": "c-1", "vote": sent}) == Voting("c-1", vote)


@pytest.mark.parametrize(
    "value",
    [
        {"conversation": "c-1"},
        {"conversation": "c-1", "vote": "sideways"},
        {"vote": "up"},
        {"conversation": "c-1", "vote": []},
    ],
)
def test_a_wrong_vote_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        parse_voting(value)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000])
def test_garbage_is_no_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_object(body)
