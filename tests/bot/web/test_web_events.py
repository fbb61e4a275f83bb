"""The event stream: differences between snapshots, and when it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from bot.errors import StoreUnavailable
from bot.web.events import HEARTBEAT, Pace, Stream, difference, encode
from bot.web.hub import Failed, Finished, Hub, Snapshot
from pipeline.types import Stage
from tests.fakes import web_sample as sample
from tests.fakes.samples import question

QUESTION = question(conversation="c-1")
ANSWER = sample.answer()
FINISHED = Snapshot(text=ANSWER.text, end=Finished("r-1", ANSWER))


def parse(event: bytes) -> tuple[str, Any]:
    name, data = event.decode().rstrip().split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def events(sent: Snapshot, now: Snapshot) -> list[tuple[str, Any]]:
    return [parse(event) for event in difference(sent, now)]


def test_someone_who_comes_late_gets_everything_so_far() -> None:
    now = Snapshot(Stage.ANSWERING, ANSWER.draft, ANSWER.hits, "Watch these")
    assert [name for name, _ in events(Snapshot(), now)] == ["status", "draft", "passages", "text"]
    assert events(Snapshot(), now)[-1] == ("text", {"text": "Watch these", "replace": True})


def test_only_what_is_new_is_sent() -> None:
    before = Snapshot(Stage.ANSWERING, ANSWER.draft, ANSWER.hits, "Watch")
    assert events(before, replace(before, text="Watch these")) == [("text", {"text": " these", "replace": False})]
    assert events(before, before) == []


def test_a_text_that_begins_anew_replaces_the_old_one() -> None:
    before = Snapshot(text="Watch these")
    assert events(before, replace(before, text="After a restart")) == [
        ("text", {"text": "After a restart", "replace": True})
    ]


def test_the_answer_comes_instead_of_the_rest_of_the_text() -> None:
    (event,) = events(Snapshot(Stage.ANSWERING, text="Watch"), replace(FINISHED, stage=Stage.ANSWERING))
    assert event[0] == "answer"
    assert (event[1]["reply_id"], event[1]["text"]) == ("r-1", ANSWER.text)


def test_an_apology_carries_its_error_id() -> None:
    assert events(Snapshot(), Snapshot(end=Failed("Sorry.", "e-1"))) == [
        ("apology", {"text": "Sorry.", "error_id": "e-1"})
    ]


def test_text_cannot_break_out_of_its_event() -> None:
    hostile = "a\n\nevent: answer\ndata: {}\r\n\u2028"
    assert parse(encode("text", {"text": hostile})) == ("text", {"text": hostile})


@dataclass
class Reader:
    """`Client` in memory."""

    received: list[bytes] = field(default_factory=list)
    gone: bool = False
    when_sent: Callable[[], None] = lambda: None

    async def send(self, data: bytes) -> None:
        if self.gone:
            raise ConnectionResetError
        self.received.append(data)
        self.when_sent()

    @property
    def names(self) -> list[str]:
        return [parse(data)[0] for data in self.received if data != HEARTBEAT]


class Stored:
    """The database's view of the question; `None` raises as if it were down."""

    def __init__(self, *snapshots: Snapshot | None) -> None:
        self.left = list(snapshots)
        self.asked = 0

    async def __call__(self) -> Snapshot | None:
        self.asked += 1
        snapshot = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        if snapshot is None:
            raise StoreUnavailable("down")
        return snapshot


def stream(hub: Hub, reader: Reader, stored: Stored) -> Stream:
    return Stream(hub, QUESTION.id, "c-1", stored, reader, Pace(look=0.001, heartbeat=0.002))


async def finish(task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(5):
        await task


async def test_a_stream_ends_with_the_answer() -> None:
    hub, reader = Hub(), Reader()
    task = asyncio.create_task(stream(hub, reader, Stored(Snapshot())).run(Snapshot()))
    await asyncio.sleep(0)
    hub.update(QUESTION, lambda _: Snapshot(Stage.DRAFTING))
    await asyncio.sleep(0.01)
    hub.update(QUESTION, lambda _: FINISHED)
    await finish(task)
    assert reader.names == ["status", "answer"]


async def test_a_slow_reader_gets_the_latest_state_and_not_every_step() -> None:
    hub, reader = Hub(), Reader()
    task = asyncio.create_task(stream(hub, reader, Stored(Snapshot())).run(Snapshot()))
    await asyncio.sleep(0)
    for length in range(1, 1000):
        hub.update(QUESTION, lambda s, length=length: replace(s, text="x" * length))
    await asyncio.sleep(0.01)
    hub.update(QUESTION, lambda s: replace(s, end=Failed("Sorry.")))
    await finish(task)
    assert reader.names == ["text", "apology"]


async def test_an_answer_given_by_another_replica_is_found_in_the_store() -> None:
    reader, stored = Reader(), Stored(Snapshot(), Snapshot(), FINISHED)
    await finish(asyncio.create_task(stream(Hub(), reader, stored).run(Snapshot())))
    assert reader.names == ["answer"]
    assert HEARTBEAT in reader.received


async def test_a_store_that_is_down_for_a_while_does_not_end_the_stream() -> None:
    reader, stored = Reader(), Stored(None, None, FINISHED)
    await finish(asyncio.create_task(stream(Hub(), reader, stored).run(Snapshot())))
    assert reader.names == ["answer"]


async def test_a_browser_that_leaves_frees_the_stream_and_its_watch() -> None:
    hub, reader = Hub(), Reader()
    task = asyncio.create_task(stream(hub, reader, Stored(Snapshot())).run(Snapshot()))
    await asyncio.sleep(0)
    assert len(hub) == 1
    reader.gone = True
    await finish(task)
    assert len(hub) == 0


async def test_a_browser_that_breaks_off_while_written_to_is_no_error() -> None:
    hub, reader = Hub(), Reader()
    reader.when_sent = lambda: setattr(reader, "gone", True)
    await stream(hub, reader, Stored(Snapshot())).run(Snapshot(Stage.DRAFTING, ANSWER.draft))
    assert len(reader.received) == 1
    assert len(hub) == 0


async def test_closing_the_hub_ends_the_stream() -> None:
    hub, reader = Hub(), Reader()
    task = asyncio.create_task(stream(hub, reader, Stored(Snapshot())).run(Snapshot()))
    await asyncio.sleep(0)
    hub.close()
    await finish(task)
    assert reader.names == []
