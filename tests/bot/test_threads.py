"""The rule that tells a follow-up from people who talk to each other."""

from __future__ import annotations

import doctest
from dataclasses import replace
from datetime import timedelta

import pytest

from bot import threads
from bot.errors import SettingsError
from bot.messages import Platform, Question
from bot.threads import REMEMBERED_SECONDS, ChannelMode, Modes, ThreadMode, ThreadRule, ThreadState, parse_modes
from tests.fakes.samples import NOW, question
from tests.fakes.slack_bot import ManualTime, MemoryModes

BEFORE, LATER = NOW - timedelta(seconds=60), NOW - timedelta(seconds=30)


class Thread:
    """A thread in a known state."""

    def __init__(self, state: ThreadState) -> None:
        self.state = state
        self.talk: list[str] = []

    async def thread_state(self, message: Question) -> ThreadState:
        return self.state

    async def overheard(self, message: Question) -> None:
        self.talk.append(message.text)


async def takes(
    state: ThreadState, text: str = "and on Android?", *, mode: ThreadMode = ThreadMode.FOLLOW_UPS, others: bool = False
) -> tuple[bool, list[str]]:
    thread = Thread(state)
    rule = ThreadRule(thread, Modes(MemoryModes(), {"C1": mode}, ThreadMode.MENTION))
    return await rule.takes(question(text=text), to_others=others), thread.talk


ASKED = ThreadState(True, BEFORE, None)


async def test_the_asker_s_next_question_needs_no_mention() -> None:
    assert await takes(ASKED) == (True, [])
    assert await takes(ThreadState(True, LATER, BEFORE)) == (True, [])


@pytest.mark.parametrize(
    "state",
    [ThreadState(True, None, BEFORE), ThreadState(True, BEFORE, LATER)],
    ids=["somebody who never asked", "others have written since"],
)
async def test_people_who_talk_to_each_other_are_left_alone_and_that_they_do_is_remembered(state: ThreadState) -> None:
    assert await takes(state) == (False, ["and on Android?"])


async def test_what_is_said_to_somebody_else_is_never_for_the_bot() -> None:
    for mode in ThreadMode:
        taken, _ = await takes(ASKED, mode=mode, others=True)
        assert taken is False


@pytest.mark.parametrize("text", ["Thanks, that worked!", ":+1:", "🎉", "Ok.", "Merci", "Perfect, makes sense"])
async def test_thanks_are_no_question_and_do_not_end_the_conversation(text: str) -> None:
    assert await takes(ASKED, text) == (False, [])


@pytest.mark.parametrize("text", ["ok, and on Android?", "why", "what about 5.2", "ok?", "warum nicht", "なぜ"])
async def test_short_questions_are_questions(text: str) -> None:
    assert (await takes(ASKED, text))[0] is True


async def test_threads_without_a_question_are_none_of_its_business() -> None:
    nothing = ThreadState(False, None, None)
    for mode in ThreadMode:
        assert await takes(nothing, mode=mode) == (False, [])


async def test_a_channel_s_mode_decides() -> None:
    chatter = ThreadState(True, None, BEFORE)
    assert (await takes(chatter, mode=ThreadMode.ALWAYS))[0] is True
    assert (await takes(ASKED, mode=ThreadMode.MENTION))[0] is False
    elsewhere = ThreadRule(Thread(ASKED), Modes(MemoryModes(), {"C2": ThreadMode.ALWAYS}, ThreadMode.MENTION))
    assert await elsewhere.takes(question(), to_others=False) is False


def changed(mode: ThreadMode, *, workspace: str = "T1") -> ChannelMode:
    return ChannelMode(Platform.SLACK, workspace, "C1", "acme", mode, "U0ADMIN", NOW)


HERE = replace(question(), platform=Platform.SLACK, address={"team": "T1"})


async def test_what_an_admin_has_set_comes_before_what_is_configured_and_only_in_that_workspace() -> None:
    modes = Modes(MemoryModes(), {"C1": ThreadMode.MENTION}, ThreadMode.FOLLOW_UPS)
    await modes.change(changed(ThreadMode.ALWAYS))
    assert await modes.of(HERE) is ThreadMode.ALWAYS
    assert await modes.of(replace(HERE, address={"team": "T2"})) is ThreadMode.MENTION
    assert await modes.of(replace(HERE, conversation="C2")) is ThreadMode.FOLLOW_UPS
    await modes.reset(Platform.SLACK, "T1", "C1")
    assert await modes.of(HERE) is ThreadMode.MENTION


async def test_another_replica_sees_a_change_within_seconds() -> None:
    store, time = MemoryModes(), ManualTime()
    here, there = (Modes(store, {}, ThreadMode.FOLLOW_UPS, time.clock) for _ in range(2))
    assert await there.of(HERE) is ThreadMode.FOLLOW_UPS
    await here.change(changed(ThreadMode.ALWAYS))
    assert await here.of(HERE) is ThreadMode.ALWAYS
    assert await there.of(HERE) is ThreadMode.FOLLOW_UPS
    time.now += REMEMBERED_SECONDS
    assert await there.of(HERE) is ThreadMode.ALWAYS


def test_modes_are_read_and_nonsense_is_refused_by_name() -> None:
    assert parse_modes("") == (ThreadMode.FOLLOW_UPS, {})
    assert parse_modes("always,C1=mention") == (ThreadMode.ALWAYS, {"C1": ThreadMode.MENTION})
    with pytest.raises(SettingsError, match=r"PROMPTAI_SLACK_THREADS.*sometimes"):
        parse_modes("C1=sometimes")


def test_the_examples_in_its_docstrings_hold() -> None:
    assert doctest.testmod(threads).failed == 0
