"""The scripted model does what its script says, and remembers what it was asked."""

from __future__ import annotations

import contextlib

import pytest

from pipeline.errors import ModelRejected, ModelStreamBroken, ModelUnavailable
from pipeline.llm import Message, complete
from pipeline.llm.scripted import Failure, ScriptedChatModel, ScriptedRequest
from tests.pipeline.llm.conftest import ASK, Sleeps


async def test_replies_come_in_order_and_the_last_one_again_and_again() -> None:
    model = ScriptedChatModel(["first", Failure(ModelUnavailable("down")), "last"])
    assert await complete(model, ASK, max_tokens=9) == "first"
    with pytest.raises(ModelUnavailable, match="down"):
        await complete(model, ASK, max_tokens=9)
    assert [await complete(model, ASK, max_tokens=9) for _ in range(3)] == ["last"] * 3


async def test_a_function_answers_from_the_messages() -> None:
    model = ScriptedChatModel(lambda messages: f"You asked: {messages[-1].content}", name="echo")
    assert await complete(model, ASK, max_tokens=9) == "You asked: What is a rebuffer?"
    assert model.name == "echo"


async def test_it_remembers_what_it_was_asked() -> None:
    model = ScriptedChatModel(["a"])
    await complete(model, ASK, max_tokens=9, temperature=0.5, stop=["x"])
    assert model.requests == [ScriptedRequest((Message("user", "What is a rebuffer?"),), 9, 0.5, ("x",))]


async def test_it_says_a_word_at_a_time_at_its_pace_and_changes_no_white_space(sleeps: Sleeps) -> None:
    text = "  two\n\nlines of  text \n"
    model = ScriptedChatModel([text], pace=0.02, sleep=sleeps)
    pieces = [piece async for piece in model.stream(ASK, max_tokens=99)]
    assert pieces == ["  two", "\n\nlines", " of", "  text", " \n"]
    assert sleeps == [0.02] * 5


async def test_it_breaks_off_after_the_text_of_a_failure() -> None:
    model = ScriptedChatModel([Failure(ModelStreamBroken("cut"), text="one two")])
    pieces = model.stream(ASK, max_tokens=9)
    assert [await anext(pieces), await anext(pieces)] == ["one", " two"]
    with pytest.raises(ModelStreamBroken, match="cut"):
        await anext(pieces)
    assert await complete(model, ASK, max_tokens=2) == "one two"  # it never came to the failure


def test_a_failure_that_no_model_shows_is_refused() -> None:
    with pytest.raises(ValueError, match="ModelStreamBroken"):
        Failure(ModelRejected("no"), text="some")
    with pytest.raises(ValueError, match="at least one"):
        ScriptedChatModel([])


async def test_it_goes_down_and_comes_back() -> None:
    model = ScriptedChatModel(["a"])
    model.go_down()
    with pytest.raises(ModelUnavailable):
        await model.check()
    with pytest.raises(ModelUnavailable):
        await complete(model, ASK, max_tokens=9)
    model.come_back()
    assert await complete(model, ASK, max_tokens=9) == "a"


async def test_it_counts_the_answers_that_were_left_early() -> None:
    model = ScriptedChatModel(["one two three"])
    async with contextlib.aclosing(model.stream(ASK, max_tokens=9)) as pieces:
        await anext(pieces)
    assert model.abandoned == 1
    await complete(model, ASK, max_tokens=9)
    assert model.abandoned == 1
