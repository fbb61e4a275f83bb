"""Streamed replies: Microsoft's protocol, and every way in which a stream can end otherwise than planned."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise

import pytest

from bot.delivery import Opened
from bot.messages import Reply
from pipeline.types import PassagesFound, Stage, StageStarted
from tests.fakes.samples import ANSWER, HIT
from tests.fakes.teams_connector import FakeStream, Fault
from tests.fakes.teams_delivery import REPLY, SORRY, Teams, running_teams

ANSWERED = "It is ten seconds [1]."


@pytest.fixture
async def teams() -> AsyncIterator[Teams]:
    async with running_teams("streamed") as running:
        yield running


def stream_of(teams: Teams, opened: Opened) -> FakeStream:
    return teams.connector.streams[opened.reply_id]


def info_of(activity: dict[str, object]) -> dict[str, object]:
    [info] = [e for e in activity["entities"] if e["type"] == "streaminfo"]  # type: ignore[attr-defined]
    return info


async def test_a_stream_is_lines_then_text_then_the_message(teams: Teams) -> None:
    """Numbered from 1, each with the stream's id but the first; the label, buttons and citations come at the end only."""
    opened = await teams.opened()
    await teams.delivery.status(opened, StageStarted(Stage.RETRIEVING))
    await teams.shows("Searching the documentation…")
    await teams.delivery.status(opened, PassagesFound((HIT,)))
    await teams.shows("Reading 1 passage…")
    await teams.delivery.append(opened, "It is ten ")
    await teams.shows("It is ten")
    await teams.delivery.append(opened, "It is ten seconds [1]. ")
    await teams.shows(ANSWERED)
    await teams.delivery.finish(opened, REPLY)
    *parts, end = [call.activity for call in teams.connector.calls]
    assert [part["type"] for part in parts] == ["typing"] * len(parts)
    assert [info_of(part)["streamSequence"] for part in parts] == [1, 2, 3, 4, 5]
    assert [info_of(part)["streamType"] for part in parts] == ["informative"] * 3 + ["streaming"] * 2
    assert [info_of(part).get("streamId") for part in parts] == [None] + [opened.reply_id] * 4
    assert all("channelData" not in part for part in parts)
    assert info_of(end) == {"type": "streaminfo", "streamType": "final", "streamId": opened.reply_id}
    assert (end["type"], end["text"]) == ("message", ANSWERED)
    assert end["channelData"] == {"feedbackLoop": {"type": "default"}}
    [label] = [e for e in end["entities"] if e["type"] == "https://schema.org/Message"]
    assert label["citation"][0]["position"] == 1


async def test_each_text_holds_the_one_before(teams: Teams) -> None:
    """Teams refuses the stream otherwise: what is not clear yet waits."""
    opened = await teams.opened()
    text = "Use `the option` and [see](https://a.example/) this. "
    for end in (*range(0, len(text), 3), len(text)):
        await teams.delivery.append(opened, text[:end])
        await asyncio.sleep(0.01)
        teams.now += 1.0
    texts = stream_of(teams, opened).texts
    assert len(texts) > 3
    assert all(later.startswith(before) for before, later in pairwise(texts))
    assert texts[-1] == "Use `the option` and see (https://a.example/) this."


async def test_a_text_that_goes_back_on_what_was_shown_is_not_sent(teams: Teams) -> None:
    """Its end is: the whole answer replaces all of it."""
    opened = await teams.opened()
    await teams.delivery.append(opened, "It is ten seconds now ")
    await teams.shows("It is ten seconds now")
    await teams.delivery.append(opened, "It is twelve seconds now ")
    await asyncio.sleep(0.02)
    assert stream_of(teams, opened).texts == ["It is ten seconds now"]
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == [ANSWERED]


async def test_parts_keep_their_distance() -> None:
    """At most once in one and a half seconds, the first one after the opening too."""
    async with running_teams("streamed", interval=1.5) as teams:
        opened = await teams.opened()
        await teams.delivery.append(opened, "It is ten ")
        await asyncio.sleep(0.02)
        assert stream_of(teams, opened).texts == []
        await teams.delivery.finish(opened, REPLY)
        assert teams.texts() == [ANSWERED]


async def test_the_end_keeps_its_distance_too(teams: Teams) -> None:
    """Teams takes one request a second of a stream."""
    opened = await teams.opened()
    teams.now += 0.25
    await teams.delivery.finish(opened, REPLY)
    assert teams.pauses == [0.75]
    assert teams.texts() == [ANSWERED]


async def test_a_second_question_in_a_chat_is_not_streamed(teams: Teams) -> None:
    """One stream a chat at a time: the other reply is posted and updated."""
    first = await teams.opened()
    second = replace(teams.question, message_id="m2")
    other = Opened(second, await teams.delivery.open(second, recovering=False))
    assert list(teams.connector.streams) == [first.reply_id]
    assert teams.texts() == ["_Looking into it…_"]
    await teams.delivery.finish(other, REPLY)
    await teams.delivery.finish(first, REPLY)
    assert teams.texts() == [ANSWERED] * 2
    third = replace(teams.question, message_id="m3")
    await teams.delivery.open(third, recovering=False)
    assert len(teams.connector.streams) == 2, "the stream was given back"
    assert teams.connector.refused == [], "nobody asked for what is not allowed"


async def test_two_chats_stream_at_the_same_time(teams: Teams) -> None:
    """The limit is a chat's."""
    await teams.opened()
    address = {"reference": teams.question.address["reference"].replace("a:chat-1", "a:chat-2")}
    elsewhere = replace(teams.question, conversation="a:chat-2", address=address)
    teams.connector.streams.clear()
    await teams.delivery.open(elsewhere, recovering=False)
    assert len(teams.connector.streams) == 1


async def test_a_stream_that_nobody_ended_does_not_block_the_chat_for_ever(teams: Teams) -> None:
    """After two minutes Teams has ended it."""
    await teams.opened()
    teams.now += 121
    second = replace(teams.question, message_id="m2")
    await teams.delivery.open(second, recovering=False)
    assert len(teams.connector.streams) == 2


@pytest.mark.parametrize("status", [400, 403, 405])
async def test_where_no_stream_is_taken_a_message_is_posted_and_updated(teams: Teams, status: int) -> None:
    """Old clients, other clouds: the answer comes all the same."""
    teams.connector.stream_faults.append(Fault(status, body='{"error": {"code": "BadArgument"}}'))
    opened = await teams.opened()
    await teams.delivery.append(opened, "It is ten")
    await teams.shows("It is ten")
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == [ANSWERED]


@pytest.mark.parametrize("status", [412, 429, 502, 504])
async def test_beginning_is_tried_again_where_teams_is_busy(teams: Teams, status: int) -> None:
    """Before another way is taken."""
    teams.connector.stream_faults.append(Fault(status))
    opened = await teams.opened()
    assert opened.reply_id in teams.connector.streams


async def test_a_stream_that_is_not_named_is_no_stream(teams: Teams) -> None:
    """Nothing could be added to it."""
    teams.connector.stream_faults.append(Fault(201, body="{}"))
    opened = await teams.opened()
    assert teams.connector.streams == {}
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == [ANSWERED]


async def test_a_stream_cut_after_its_first_part_goes_on(teams: Teams) -> None:
    """The connection broke; the next part carries everything and a new number."""
    opened = await teams.opened()
    teams.connector.stream_faults.append(Fault(disconnect=True, after_storing=True))
    await teams.delivery.append(opened, "It is ")
    await teams.shows("It is")
    await teams.delivery.append(opened, "It is ten ")
    await teams.shows("It is ten")
    assert stream_of(teams, opened).sequence == 3
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == [ANSWERED]


async def test_a_stream_that_is_refused_in_the_middle_is_ended_all_the_same(teams: Teams) -> None:
    """A refused part may be that part's fault only; the answer still takes the stream's place."""
    opened = await teams.opened()
    teams.connector.stream_faults.append(Fault(403, body='{"error": {"code": "ContentStreamNotAllowed"}}'))
    await teams.delivery.append(opened, "It is ten ")
    await asyncio.sleep(0.02)
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == [ANSWERED]
    assert len(teams.connector.streams) == 1


async def test_after_two_minutes_the_message_is_updated(teams: Teams) -> None:
    """Teams ends the stream; text and answer go on in its message."""
    opened = await teams.opened()
    await teams.delivery.append(opened, "It is ")
    await teams.shows("It is")
    teams.now += 120
    await teams.delivery.append(opened, "It is ten ")
    await asyncio.sleep(0.02)
    await teams.delivery.append(opened, "It is ten seconds ")
    await teams.shows("It is ten seconds")
    await teams.delivery.finish(opened, REPLY)
    [shown] = teams.shown()
    assert shown["text"] == ANSWERED
    assert [entity["type"] for entity in shown["entities"]] == ["https://schema.org/Message"], "no streaminfo"
    assert list(teams.connector.conversations[teams.chat]) == [opened.reply_id]
    assert teams.connector.refused == [], "Teams need not say that the time is over"


async def test_a_stream_that_teams_ended_earlier_than_we_think_is_updated(teams: Teams) -> None:
    """Its clock decides."""
    opened = await teams.opened()
    stream_of(teams, opened).began_at -= 200
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == [ANSWERED]
    assert list(teams.connector.conversations[teams.chat]) == [opened.reply_id]


async def test_an_answer_that_can_neither_end_nor_replace_the_stream_is_posted(teams: Teams) -> None:
    """One final answer, whatever became of the stream."""
    opened = await teams.opened()
    teams.connector.stream_faults.append(Fault(403, body='{"error": {"code": "ContentStreamNotAllowed"}}'))
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == [ANSWERED]
    assert opened.reply_id not in teams.connector.conversations[teams.chat]
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == [ANSWERED]


async def test_a_person_who_stops_the_stream_gets_no_more_of_it(teams: Teams) -> None:
    """Neither in the stream nor in another message, also after a restart."""
    opened = await teams.opened()
    await teams.delivery.append(opened, "It is ")
    await teams.shows("It is")
    teams.connector.stop_stream(opened.reply_id)
    await teams.delivery.append(opened, "It is ten ")
    await asyncio.sleep(0.02)
    for delivery in (teams.delivery, teams.restarted()):
        await delivery.append(opened, "It is ten seconds ")
        await delivery.finish(opened, Reply("a1", replace(ANSWER, text="line\n" * 20_000, citations=())))
    assert teams.texts() == []
    assert stream_of(teams, opened).texts == ["It is"]


async def test_an_answer_whose_end_was_lost_on_the_way_is_there_once(teams: Teams) -> None:
    """Ending again is refused, and replaces what is there."""
    opened = await teams.opened()
    teams.connector.stream_faults.append(Fault(504, after_storing=True))
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == [ANSWERED]


async def test_a_restart_in_mid_answer_ends_the_same_stream(teams: Teams) -> None:
    """With nothing but its id; the text is made anew and need not be the same."""
    opened = await teams.opened()
    await teams.delivery.append(opened, "At first I thought ")
    await teams.shows("At first I thought")
    restarted = teams.restarted()
    await restarted.status(opened, StageStarted(Stage.DRAFTING))
    await restarted.append(opened, "It is ")
    await restarted.finish(opened, REPLY)
    assert teams.texts() == [ANSWERED]
    assert stream_of(teams, opened).texts == ["At first I thought"]
    assert list(teams.connector.streams) == [opened.reply_id]


async def test_a_restart_before_the_stream_was_recorded_begins_another_reply(teams: Teams) -> None:
    """Teams refuses a second stream, so the answer is posted; the first stream runs out by itself."""
    await teams.delivery.open(teams.question, recovering=False)
    restarted = teams.restarted()
    opened = Opened(teams.question, await restarted.open(teams.question, recovering=True))
    await restarted.finish(opened, REPLY)
    assert teams.texts() == [ANSWERED]


async def test_an_end_that_is_named_otherwise_can_be_rated_under_both_ids(teams: Teams) -> None:
    """Feedback names the stream, reactions may name the message."""
    teams.connector.final_id = "another-id"
    opened = await teams.opened()
    await teams.delivery.finish(opened, REPLY)
    assert teams.replies.all == [(0, opened.reply_id), (0, "another-id")]


async def test_a_very_long_text_is_shown_as_far_as_its_first_message_reaches(teams: Teams) -> None:
    """Beyond that, it waits for the end."""
    opened = await teams.opened()
    text = "\n".join(f"line {number} of the answer" for number in range(3_000))
    await teams.delivery.append(opened, text[:9_000])
    await teams.shows("line 300")
    await teams.delivery.append(opened, text)
    await asyncio.sleep(0.02)
    assert len(stream_of(teams, opened).texts) == 1
    await teams.delivery.finish(opened, Reply("a1", replace(ANSWER, text=text, citations=())))
    assert "\n".join(teams.texts()) == text


async def test_an_apology_ends_the_stream(teams: Teams) -> None:
    """It takes the place of what was shown."""
    opened = await teams.opened()
    await teams.delivery.append(opened, "It is ")
    await teams.shows("It is")
    await teams.delivery.fail(opened, SORRY)
    [shown] = teams.shown()
    assert shown["text"].startswith("Please try again")
    assert "channelData" not in shown


async def test_progress_leaves_room_for_the_answer(teams: Teams) -> None:
    """Of the conversation's sixty requests in half a minute some are kept for what matters."""
    opened = await teams.opened()
    for number in range(80):
        await teams.delivery.append(opened, "word " * (number + 1))
        teams.now += 0.3
        await asyncio.sleep(0.005)
    assert len(teams.connector.calls) <= 36
    await teams.delivery.finish(opened, REPLY)
    assert teams.texts() == [ANSWERED]
