"""The comparison's model server speaks chat completions and keeps its stated pace, scaled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from benchmarks.frameworks.model_server import Engine, ModelServer, Paced, clock
from benchmarks.frameworks.replay import ANSWER, Kind, Replay
from benchmarks.waiting_server import Gpus
from pipeline import prompts
from pipeline.llm import complete
from pipeline.llm.tgi import ModelServer as Client
from pipeline.types import Passage

QUESTION = "How do I start Ray?"
DRAFT = "With ray start on the head node."
HYDE = (
    f"Given a question, generate a paragraph of text that answers the question.    Question: {QUESTION}    Paragraph:"
)
GPUS = Gpus("test", bandwidth=1e12, peak=1e15, parameters=1e9)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(Replay({"q": QUESTION}, {"q": DRAFT}), GPUS, scale=4) as running:
        yield running


async def post(server: ModelServer, **body: Any) -> tuple[int, dict[str, Any]]:
    url = f"{server.url}/v1/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        return response.status, await response.json()


async def test_our_client_reads_a_streamed_draft_and_a_streamed_answer(server: ModelServer) -> None:
    client = Client(server.url)
    model = client.model("ours")
    passage = Passage("p", "d", "shared", "page", "Page", ("Page",), "text", 0)
    assert await complete(model, prompts.draft_messages(QUESTION), max_tokens=99) == DRAFT
    assert await complete(model, prompts.answer_messages(QUESTION, [passage]), max_tokens=99) == ANSWER
    await client.close()
    assert [(each.model, each.question, each.kind) for each in server.served] == [
        ("ours", "q", Kind.DRAFT),
        ("ours", "q", Kind.ANSWER),
    ]


async def test_several_samples_come_whole_cut_at_the_limit_and_are_all_counted(server: ModelServer) -> None:
    message = {"role": "user", "content": [{"type": "text", "text": HYDE}]}
    status, body = await post(server, model="m", messages=[message], n=3, max_tokens=2)
    assert status == 200
    assert [choice["message"]["content"] for choice in body["choices"]] == ["With ray"] * 3
    assert {choice["finish_reason"] for choice in body["choices"]} == {"length"}
    assert server.served[0].written == 6
    assert server.served[0].read == len(HYDE) // 4


async def test_a_prompt_that_is_not_recognised_is_refused_and_remembered(server: ModelServer) -> None:
    status, body = await post(server, model="m", messages=[{"role": "user", "content": "Hello"}])
    assert status == 400
    assert server.unrecognised == [body["error"]["message"]]


async def test_only_what_was_written_before_the_client_left_counts(server: ModelServer) -> None:
    client = Client(server.url)
    async for _ in client.model("ours").stream(prompts.draft_messages(QUESTION), max_tokens=99):
        break
    await client.close()
    async with asyncio.timeout(10):
        while not server.served:
            await asyncio.sleep(0.01)
    assert 1 <= server.served[0].written <= 9


def test_the_clock_shows_stated_seconds_while_the_server_computes_and_the_machines_own_between() -> None:
    read = clock([(10.0, 2.0), (10.5, 2.0), (11.1, 0.0), (14.0, 1.0), (14.2, 0.0)])
    assert read(10.0) - read(9.0) == pytest.approx(1.0)
    assert read(10.25) - read(10.0) == pytest.approx(1.0)
    assert read(11.1) - read(10.0) == pytest.approx(4.0)
    assert read(14.0) - read(11.1) == pytest.approx(2.9)
    assert read(15.0) - read(14.0) == pytest.approx(1.0 + 0.8)


def test_without_idle_time_the_clock_shows_the_servers_alone() -> None:
    read = clock([(10.0, 2.0), (11.0, 0.0), (14.0, 1.0), (14.2, 0.0)], idle=False)
    assert read(20.0) - read(9.0) == pytest.approx(3.0)
    assert read(14.1) - read(10.5) == pytest.approx(1.5)


def test_a_server_that_has_not_been_asked_leaves_time_as_it_is() -> None:
    assert clock([])(7.0) == 7.0


async def test_an_engine_notes_its_steps_at_stated_length_and_when_it_ran_out_of_work() -> None:
    gpus = Paced("test", GPUS.bandwidth, GPUS.peak, GPUS.parameters, scale=4)
    engine = Engine(gpus)
    sample = engine.submit("prompt", ["one", " two"], 99)
    while await sample.out.get() is not None:
        pass
    await asyncio.sleep(0)  # the engine comes to its end
    stated = GPUS.step(1)
    assert [seconds for _, seconds in gpus.steps] == [pytest.approx(stated), pytest.approx(stated), 0.0]
