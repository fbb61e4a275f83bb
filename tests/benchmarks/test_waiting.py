"""The simulated server of `benchmarks.waiting` keeps to its stated formulas."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from benchmarks.waiting import A100, JumpingLoop, Server, SimulatedModel
from pipeline.llm import Message

T = TypeVar("T")
STEP = A100.step(1)


def simulate(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(work)


async def times(server: Server, prompt: str, text: str) -> list[float]:
    """When each token came, in seconds."""
    now = asyncio.get_running_loop().time
    return [now() async for _ in SimulatedModel(server, text).stream([Message("user", prompt)], max_tokens=99)]


def test_a_step_is_bound_by_the_weights_or_by_the_arithmetic() -> None:
    assert A100.step(1) == pytest.approx(140e9 / (8e12 * 0.65))
    assert A100.step(1000) == pytest.approx(1000 * 140e9 / (1248e12 * 0.5))


def test_the_first_token_comes_with_the_prefill_and_the_others_a_step_each() -> None:
    came = simulate(times(Server(A100), "x" * 4000, "one two three"))
    assert came[0] == pytest.approx(A100.step(1000))
    assert came[1] - came[0] == pytest.approx(STEP)


def test_a_prompt_that_was_seen_before_costs_one_step() -> None:
    async def twice() -> list[float]:
        server = Server(A100)
        await times(server, "x" * 4000, "one")
        began = asyncio.get_running_loop().time()
        return [at - began for at in await times(server, "x" * 4000, "one")]

    assert simulate(twice()) == pytest.approx([STEP])


def test_a_draft_waits_while_an_answers_prompt_is_computed() -> None:
    async def both() -> list[float]:
        server = Server(A100)
        draft = asyncio.create_task(times(server, "q", "one two three"))
        await asyncio.sleep(STEP / 2)
        await times(server, "x" * 4000, "answer")
        return await draft

    came = simulate(both())
    assert came[0] == pytest.approx(STEP)
    assert came[1] - came[0] == pytest.approx(A100.step(1001))
