"""Work that runs ahead of its caller."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.knowledge.ahead import Ahead


class Work:
    """Pieces of work that wait to be let go."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.gates = [asyncio.Event() for _ in range(4)]

    async def piece(self, number: int, error: Exception | None = None) -> None:
        self.begun.append(number)
        await self.gates[number].wait()
        if error:
            raise error
        self.ended.append(number)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_next_piece_begins_before_the_one_before_has_ended_and_no_more() -> None:
    work, ahead = Work(), Ahead(2)

    async def all_pieces() -> None:
        async with ahead:
            for number in range(4):
                await ahead.add(work.piece(number))

    running = asyncio.create_task(all_pieces())
    await settle()
    assert work.begun == [0, 1]
    work.gates[0].set()
    await settle()
    assert work.begun == [0, 1, 2]
    for gate in work.gates:
        gate.set()
    await running
    assert work.ended == [0, 1, 2, 3]


async def test_an_error_is_raised_after_what_runs_beside_it_has_ended() -> None:
    work, ahead = Work(), Ahead(3)

    async def two_pieces() -> None:
        async with ahead:
            await ahead.add(work.piece(0, ValueError("broken")))
            await ahead.add(work.piece(1))

    running = asyncio.create_task(two_pieces())
    work.gates[0].set()
    await settle()
    assert not running.done()
    work.gates[1].set()
    with pytest.raises(ValueError, match="broken"):
        await running
    assert work.ended == [1]


async def test_whoever_is_cancelled_cancels_the_work() -> None:
    work, ahead = Work(), Ahead(3)

    async def one_piece() -> None:
        async with ahead:
            await ahead.add(work.piece(0))

    running = asyncio.create_task(one_piece())
    await settle()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    work.gates[0].set()
    await settle()
    assert work.begun == [0]
    assert work.ended == []
