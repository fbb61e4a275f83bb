"""Microsoft's limits for a bot in one conversation are never exceeded, and nothing waits longer than it must."""

from __future__ import annotations

import random

from bot.teams.pacing import LIMITS, Pace


class Time:
    """A clock that pauses push on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.paused = 0.0

    def clock(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.now += seconds
        self.paused += seconds


def paced() -> tuple[Pace, Time]:
    time = Time()
    return Pace(time.clock, time.pause), time


def most_in(sent: list[float], seconds: float) -> int:
    return max(sum(1 for other in sent if moment - seconds < other <= moment) for moment in sent)


async def test_no_window_is_ever_exceeded() -> None:
    """At random times, with and without progress among them."""
    pace, time = paced()
    chance, sent = random.Random(7), list[float]()
    for _ in range(2_500):
        time.now += chance.choice([0.0, 0.01, 0.4])
        if chance.random() < 0.5:
            await pace.turn("c")
            sent.append(time.now)
        elif pace.spare("c"):
            sent.append(time.now)
    for seconds, allowed in LIMITS:
        assert most_in(sent, seconds) <= allowed


async def test_seven_at_once_do_not_wait_and_the_eighth_does() -> None:
    """Until the first one is a second old."""
    pace, time = paced()
    for _ in range(7):
        await pace.turn("c")
    assert time.paused == 0
    await pace.turn("c")
    assert 1.0 <= time.paused < 1.1


async def test_progress_never_takes_the_last_room() -> None:
    """An answer is not held up by status lines."""
    pace, time = paced()
    shown = sum(pace.spare("c") for _ in range(7))
    assert 0 < shown < 7
    await pace.turn("c")
    assert time.paused == 0


async def test_each_conversation_has_its_own_limits() -> None:
    """One busy channel slows nobody else."""
    pace, time = paced()
    for number in range(70):
        await pace.turn(f"c{number}")
    assert time.paused == 0


async def test_conversations_that_fell_silent_take_no_memory() -> None:
    """A process runs for months, and everybody in the company writes to it now and then."""
    pace, time = paced()
    for number in range(50):
        await pace.turn(f"c{number}")
    time.now += 3_601
    await pace.turn("c49")
    assert {name: len(sent) for name, sent in pace._sent.items()} == {"c49": 1}
