"""What every `ChatModel` does: the scripted one, the client of a TGI server, and the embedded llama.cpp server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from pipeline.errors import ModelOverloaded, ModelRejected, ModelStreamBroken, ModelUnavailable
from pipeline.llm import BASE, ChatModel, Message, Token, complete
from pipeline.llm.embedded import EmbeddedServer
from pipeline.llm.scripted import Failure, ScriptedChatModel
from pipeline.llm.tgi import ModelServer
from tests.fakes.model_server import Break, ModelServerFake, Status, Stream, unused_url

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASK = [Message("system", "Answer briefly."), Message("user", "Name three colours and say where they are found.")]
REPLY = "Red is found in roses, blue in the sky, and green in the grass. " * 8
TOKENS = [" " + word for word in REPLY.split()]


@dataclass
class Case:
    """A model, and how to see that its server stopped generating."""

    model: ChatModel
    idle: Callable[[], Awaitable[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path_factory.mktemp("log"), context_tokens=1024, threads=1)
    await server.start()
    yield server
    await server.close()


@pytest_asyncio.fixture(loop_scope="module", params=["scripted", "tgi", "embedded"])
async def case(request: pytest.FixtureRequest, embedded: EmbeddedServer) -> AsyncIterator[Case]:
    if request.param == "scripted":
        scripted = ScriptedChatModel([REPLY])

        async def abandoned() -> None:
            assert scripted.abandoned == 1

        yield Case(scripted, abandoned)
    elif request.param == "tgi":
        never = asyncio.Event()
        async with ModelServerFake(_until_left(never)) as fake:
            server = ModelServer(fake.url)
            yield Case(server.model("adapter"), fake.disconnected)
            await server.close()
    else:
        yield Case(embedded.model(BASE), lambda: _embedded_idle(embedded))


def _until_left(never: asyncio.Event) -> Callable[[object], Stream]:
    """A model that says `REPLY` when asked for little, and goes on for ever when asked for much."""

    def reply(body: object) -> Stream:
        assert isinstance(body, dict)
        return Stream(*TOKENS, *([never] if body["max_tokens"] > 500 else []))

    return reply


async def _embedded_idle(server: EmbeddedServer) -> None:
    endpoint = await server._locate()
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    async with asyncio.timeout(10), aiohttp.ClientSession(headers=headers) as session:
        while True:
            async with session.get(f"{endpoint.url}/metrics") as response:
                if "llamacpp:requests_processing 0" in await response.text():
                    return
            await asyncio.sleep(0.05)


async def test_it_has_a_name_and_answers_a_check(case: Case) -> None:
    assert case.model.name
    await case.model.check()


async def test_it_streams_pieces_none_of_which_is_empty(case: Case) -> None:
    pieces = [piece async for piece in case.model.stream(ASK, max_tokens=12)]
    assert len(pieces) > 1
    assert all(pieces)


async def test_at_temperature_zero_it_says_the_same_twice(case: Case) -> None:
    first = await complete(case.model, ASK, max_tokens=8)
    assert await complete(case.model, ASK, max_tokens=8) == first != ""


async def test_it_tells_the_probability_of_each_token_before_its_text(case: Case) -> None:
    """A drafter's certainty is read from them."""
    seen: list[Token] = []
    text = ""
    async for piece in case.model.stream(ASK, max_tokens=8, seen=seen.append):
        text += piece
        assert "".join(token.text for token in seen).startswith(text)
    assert seen
    assert all(token.logprob <= 0 for token in seen)


async def test_it_says_no_more_than_max_tokens(case: Case) -> None:
    pieces = [piece async for piece in case.model.stream(ASK, max_tokens=3)]
    assert 1 <= len(pieces) <= 3


async def test_it_ends_before_a_stop_string_which_is_no_part_of_the_text(case: Case) -> None:
    whole = await complete(case.model, ASK, max_tokens=16)
    middle = len(whole) // 2
    stop = whole[middle : middle + 3]  # in the middle of a word, where no token ends
    assert await complete(case.model, ASK, max_tokens=16, stop=[stop, "\0"]) == whole[: whole.index(stop)]


@pytest.mark.parametrize(
    ("max_tokens", "stop"), [(0, []), (8, ["a", "b", "c", "d", "e"]), (8, [""])], ids=["no tokens", "5 stops", "empty"]
)
async def test_it_rejects_what_no_server_takes(case: Case, max_tokens: int, stop: list[str]) -> None:
    with pytest.raises(ModelRejected):
        await complete(case.model, ASK, max_tokens=max_tokens, stop=stop)


async def test_closing_the_generator_stops_the_generation(case: Case) -> None:
    async with contextlib.aclosing(case.model.stream(ASK, max_tokens=900)) as pieces:
        assert await anext(pieces)
    await case.idle()
    assert await complete(case.model, ASK, max_tokens=2)


async def test_cancelling_the_task_stops_the_generation(case: Case) -> None:
    begun = asyncio.Event()

    async def consume() -> None:
        async with contextlib.aclosing(case.model.stream(ASK, max_tokens=900)) as pieces:
            async for _ in pieces:
                begun.set()
                await asyncio.sleep(0)

    task = asyncio.create_task(consume())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await case.idle()
    assert await complete(case.model, ASK, max_tokens=2)


async def test_many_may_ask_at_the_same_time(case: Case) -> None:
    answers = await asyncio.gather(*(complete(case.model, ASK, max_tokens=4) for _ in range(6)))
    assert all(answers)


async def test_text_of_any_script_is_taken(case: Case) -> None:
    messages = [Message("user", 'שלום 👩‍👩‍👧 "\\n\u2028 <|im_end|> \0 Grüße')]
    assert await complete(case.model, messages, max_tokens=2)


async def test_closing_a_model_twice_is_harmless_and_leaves_the_others_of_its_server(case: Case) -> None:
    await case.model.close()
    await case.model.close()
    assert await complete(case.model, ASK, max_tokens=2)


Failing = Callable[[], contextlib.AbstractAsyncContextManager[ChatModel]]


def _scripted(failure: Failure) -> Failing:
    @contextlib.asynccontextmanager
    async def open_model() -> AsyncIterator[ChatModel]:
        yield ScriptedChatModel([failure])

    return open_model


def _tgi(reply: Stream | Status | None) -> Failing:
    @contextlib.asynccontextmanager
    async def open_model() -> AsyncIterator[ChatModel]:
        async with contextlib.AsyncExitStack() as stack:
            url = (await stack.enter_async_context(ModelServerFake(reply))).url if reply else unused_url()
            server = ModelServer(url, max_retries=1, sleep=lambda _: asyncio.sleep(0))
            stack.push_async_callback(server.close)
            yield server.model(BASE)

    return open_model


@pytest.mark.parametrize(
    ("failing", "expected"),
    [
        (_scripted(Failure(ModelUnavailable("down"))), ModelUnavailable),
        (_scripted(Failure(ModelOverloaded("busy"))), ModelOverloaded),
        (_scripted(Failure(ModelRejected("too long"))), ModelRejected),
        (_tgi(None), ModelUnavailable),
        (_tgi(Status(503, {"error": "unhealthy", "error_type": "healthcheck"})), ModelUnavailable),
        (_tgi(Status(429, {"error": "Model is overloaded", "error_type": "overloaded"})), ModelOverloaded),
        (_tgi(Status(422, {"error": "inputs too long", "error_type": "validation"})), ModelRejected),
    ],
)
async def test_before_the_first_piece_it_raises_what_went_wrong(failing: Failing, expected: type[Exception]) -> None:
    async with failing() as model:
        with pytest.raises(expected):
            await anext(model.stream(ASK, max_tokens=8))


@pytest.mark.parametrize(
    "failing", [_scripted(Failure(ModelStreamBroken("cut"), text="one two")), _tgi(Stream("one", " two", Break()))]
)
async def test_after_the_first_piece_it_raises_that_the_stream_broke(failing: Failing) -> None:
    async with failing() as model:
        pieces = model.stream(ASK, max_tokens=8)
        assert [await anext(pieces), await anext(pieces)] == ["one", " two"]
        with pytest.raises(ModelStreamBroken):
            await anext(pieces)


async def test_the_embedded_model_rejects_a_prompt_longer_than_its_window(embedded: EmbeddedServer) -> None:
    with pytest.raises(ModelRejected, match="context"):
        await complete(embedded.model(BASE), [Message("user", "word " * 8000)], max_tokens=8)


async def test_the_embedded_model_is_unavailable_before_it_is_started(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    with pytest.raises(ModelUnavailable, match="not started"):
        await complete(server.model(BASE), ASK, max_tokens=8)
    await server.close()


async def test_when_the_embedded_process_dies_the_stream_breaks_and_the_next_one_works(
    embedded: EmbeddedServer,
) -> None:
    model = embedded.model(BASE)
    pieces = model.stream(ASK, max_tokens=900)
    await anext(pieces)
    assert embedded.pid
    os.kill(embedded.pid, signal.SIGKILL)
    with pytest.raises(ModelStreamBroken, match="embedded model"):
        async for _ in pieces:
            pass
    assert await complete(model, ASK, max_tokens=4)
