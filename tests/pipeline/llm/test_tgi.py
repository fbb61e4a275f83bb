"""Talking to a model server that works: requests, connections, streams, and what else it can tell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import aiohttp
import pytest

from pipeline.errors import ModelUnavailable
from pipeline.llm import Message, complete, estimate_tokens
from pipeline.llm.tgi import Limits, ModelServer
from tests.fakes.model_server import ModelServerFake, Stall, Stream, unused_url
from tests.pipeline.llm.conftest import ASK

Connect = Callable[..., ModelServer]
FINISH = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


async def test_the_adapter_is_chosen_by_model_and_named_in_answers(connect: Connect) -> None:
    async with ModelServerFake() as fake:
        model = connect(fake.url).model("docs-v3")
        assert await complete(model, ASK, max_tokens=9, temperature=0.5) == "What is a rebuffer?"
        assert model.name == "docs-v3"
        assert fake.requests[0].body == {
            "model": "docs-v3",
            "messages": [{"role": "user", "content": "What is a rebuffer?"}],
            "max_tokens": 9,
            "temperature": 0.5,
            "stream": True,
        }


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_the_url_may_end_in_a_slash_or_v1(connect: Connect, suffix: str) -> None:
    async with ModelServerFake() as fake:
        assert await complete(connect(fake.url + suffix).model("tgi"), ASK, max_tokens=9)


async def test_the_key_is_sent_as_a_bearer_token_and_shown_nowhere(connect: Connect) -> None:
    async with ModelServerFake(api_key="s3cret") as fake:
        server = connect(fake.url, api_key="s3cret")
        assert await complete(server.model("tgi"), ASK, max_tokens=9)
        assert "s3cret" not in repr(vars(server))


async def test_all_models_of_a_server_share_its_connections(connect: Connect) -> None:
    async with ModelServerFake(Stream("a", usage=True)) as fake:
        server = connect(fake.url)
        for name in ("draft", "answer", "draft", "answer"):
            assert await complete(server.model(name), ASK, max_tokens=9) == "a"
        assert len({request.connection for request in fake.requests}) == 1


async def test_the_pool_never_makes_a_request_wait(connect: Connect) -> None:
    everybody = asyncio.Event()

    def reply(body: object) -> Stream:
        if len(fake.requests) == 150:  # more than aiohttp's own limit of 100
            everybody.set()
        return Stream(everybody, "a")

    async with ModelServerFake(reply) as fake:
        model = connect(fake.url).model("tgi")
        assert await asyncio.gather(*(complete(model, ASK, max_tokens=9) for _ in range(150))) == ["a"] * 150


async def test_a_session_from_outside_is_used_and_left_open(connect: Connect) -> None:
    async with ModelServerFake() as fake, aiohttp.ClientSession(headers={"X-From": "outside"}) as session:
        server = connect(fake.url, session=session)
        await complete(server.model("tgi"), ASK, max_tokens=9)
        await server.close()
        assert fake.requests[0].headers["X-From"] == "outside"
        assert not session.closed


async def test_closing_the_server_ends_its_streams_and_says_so_to_later_requests(connect: Connect) -> None:
    async with ModelServerFake(Stream("a", Stall())) as fake:
        server = connect(fake.url)
        pieces = server.model("tgi").stream(ASK, max_tokens=9)
        await anext(pieces)
        await server.close()
        await server.close()
        await fake.disconnected()
        await pieces.aclose()
        with pytest.raises(ModelUnavailable, match="shutting down"):
            await complete(server.model("tgi"), ASK, max_tokens=9)


async def test_a_generator_that_was_never_asked_sends_nothing(connect: Connect) -> None:
    async with ModelServerFake() as fake:
        await connect(fake.url).model("tgi").stream(ASK, max_tokens=9).aclose()
        assert fake.requests == []


async def test_cancelling_before_the_first_token_reaches_the_server(connect: Connect) -> None:
    arrived = asyncio.Event()

    def reply(body: object) -> Stream:
        arrived.set()
        return Stream(Stall())

    async with ModelServerFake(reply) as fake:
        task = asyncio.create_task(complete(connect(fake.url).model("tgi"), ASK, max_tokens=9))
        await arrived.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await fake.disconnected()


@pytest.mark.parametrize(
    "reply",
    [
        Stream({"choices": [{"delta": {"role": "assistant"}}]}, "", "a", "", " b", usage=True),
        Stream(b": ping\n\n", "a", b":\n\n", " b", done=False),
        Stream("a", " b", finish=None),
        Stream("a", " b", FINISH, Stall()),
        Stream(b'data:{"choices":[{"delta":{"content":"a b"}}]}\r\n', b"\r\ndata: [DO", b"NE]\r\n\r\n"),
        Stream(*(bytes([byte]) for byte in b'data: {"choices": [{"delta": {"content": "a b"}}]}\n\n')),
    ],
    ids=["roles and usage", "no DONE", "no finish reason", "silent after the end", "CRLF", "byte by byte"],
)
async def test_every_way_in_which_servers_stream_gives_the_same_text(connect: Connect, reply: Stream) -> None:
    async with ModelServerFake(reply) as fake:
        assert await complete(connect(fake.url).model("tgi"), ASK, max_tokens=9) == "a b"


async def test_an_answer_may_be_empty(connect: Connect) -> None:
    async with ModelServerFake(Stream()) as fake:
        assert await complete(connect(fake.url).model("tgi"), ASK, max_tokens=9) == ""


async def test_a_stop_string_that_the_server_leaves_in_the_text_is_cut_off(connect: Connect) -> None:
    async with ModelServerFake(Stream("a", " b", "\n", "\nQuestion:", " c")) as fake:
        assert await complete(connect(fake.url).model("tgi"), ASK, max_tokens=9, stop=["\n\nQ"]) == "a b"
        assert fake.requests[0].body["stop"] == ["\n\nQ"]


@pytest.mark.parametrize("health", [200, None], ids=["by /health", "by /v1/models"])
async def test_a_check_passes_where_the_server_answers(connect: Connect, health: int | None) -> None:
    async with ModelServerFake(health=health) as fake:
        await connect(fake.url).check()
        await connect(fake.url).model("tgi").check()


async def test_a_check_says_what_to_do_where_it_does_not(connect: Connect) -> None:
    async with ModelServerFake(health=503) as fake:
        with pytest.raises(ModelUnavailable, match="503"):
            await connect(fake.url).check()
    async with ModelServerFake(health=None, api_key="k") as fake:
        with pytest.raises(ModelUnavailable, match="MODEL_API_KEY"):
            await connect(fake.url).check()
    with pytest.raises(ModelUnavailable, match="MODEL_URL"):
        await connect(unused_url()).check()


async def test_limits_are_what_tgi_says_and_none_elsewhere(connect: Connect) -> None:
    async with ModelServerFake(info={"max_input_tokens": 4095, "max_total_tokens": 4096}) as fake:
        assert await connect(fake.url).limits() == Limits(4095, 4096)
    async with ModelServerFake(info={"version": "vLLM"}) as fake:
        assert await connect(fake.url).limits() is None
    async with ModelServerFake() as fake:
        assert await connect(fake.url).limits() is None


async def test_tokens_are_counted_by_the_server_or_else_estimated_high(connect: Connect) -> None:
    messages = [Message("system", "Be brief."), Message("user", "What is a rebuffer?")]
    async with ModelServerFake(tokenizes=True) as fake:
        assert await connect(fake.url).count_tokens(messages) == 6
    async with ModelServerFake() as fake:
        assert await connect(fake.url).count_tokens(messages) == estimate_tokens(messages) == 3 + 6 + 16


async def test_a_server_that_cannot_count_is_asked_once(connect: Connect) -> None:
    async with ModelServerFake() as fake:
        server = connect(fake.url)
        counted = await server.count_tokens(ASK)
    assert await server.count_tokens(ASK) == counted  # it is gone, which nobody notices
