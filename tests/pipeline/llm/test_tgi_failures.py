"""Model servers that are down, full, slow, wrong or lying: what is tried again, and what is said."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from pipeline.errors import ModelError, ModelOverloaded, ModelRejected, ModelStreamBroken, ModelUnavailable
from pipeline.llm import complete
from pipeline.llm.sse import MAX_EVENT_BYTES
from pipeline.llm.tgi import ModelServer
from tests.fakes.model_server import (
    Break,
    ModelServerFake,
    Stall,
    Status,
    Stream,
    in_band,
    in_band_typed,
    unused_url,
)
from tests.pipeline.llm.conftest import ASK, Sleeps

Connect = Callable[..., ModelServer]
BUSY = Status(429, {"error": "Model is overloaded", "error_type": "overloaded"})


async def ask(server: ModelServer) -> str:
    return await complete(server.model("tgi"), ASK, max_tokens=9)


@pytest.mark.parametrize(
    ("reply", "expected", "words"),
    [
        (Status(401), ModelUnavailable, "refused the key (401): set MODEL_API_KEY"),
        (Status(403, "no"), ModelUnavailable, "MODEL_API_KEY"),
        (Status(404, {"error": {"message": "The model `x` does not exist"}}), ModelUnavailable, "does not exist"),
        (Status(404, "<html>", content_type="text/html"), ModelUnavailable, "(404: an HTML page): check MODEL_URL"),
        (Status(405), ModelUnavailable, "MODEL_URL"),
        (Status(302, headers={"Location": "/elsewhere"}), ModelUnavailable, "(302): check MODEL_URL"),
        (Status(400, {"error": {"code": 400, "message": "context exceeded"}}), ModelRejected, "context exceeded"),
        (Status(413), ModelRejected, "413"),
        (Status(422, {"error": "too long", "error_type": "validation"}), ModelRejected, "422: too long"),
        (Status(424, {"error": "oom", "error_type": "generation"}), ModelUnavailable, "424: oom"),
        (Status(500, {"error": "x", "error_type": "incomplete_generation"}), ModelUnavailable, "500"),
        (Status(504, "<html>", content_type="text/html"), ModelUnavailable, "504: an HTML page"),
        (Stream(in_band("Input validation error: too long")), ModelRejected, "too long"),
        (Stream(in_band("Request failed during generation: oom")), ModelUnavailable, "oom"),
        (Stream(in_band_typed("too long", "validation")), ModelRejected, "too long"),
        (Stream({"error": {"code": 500, "message": "no slot"}}), ModelUnavailable, "no slot"),
        (Stream(b'error: {"code":500,"message":"no slot"}\n\n'), ModelUnavailable, "no slot"),
        (Stream(b"data: <html>\n\n"), ModelUnavailable, "not JSON"),
        (Stream(b'data: {"object": "page"}\n\n'), ModelUnavailable, "no chat completion chunk"),
        (Stream(b"data: \xff\n\n"), ModelUnavailable, "UTF-8"),
        (Stream(b"x" * (MAX_EVENT_BYTES + 1)), ModelUnavailable, f"longer than {MAX_EVENT_BYTES} bytes"),
        (Status(200, "<html>Welcome", content_type="text/html"), ModelUnavailable, "text/html (an HTML page)"),
        (Status(200, {"choices": [{"message": {}}]}), ModelUnavailable, "application/json"),
    ],
)
async def test_what_nobody_can_wait_out_is_said_at_once(
    connect: Connect, sleeps: Sleeps, reply: Status | Stream, expected: type[ModelError], words: str
) -> None:
    async with ModelServerFake(reply) as fake:
        with pytest.raises(expected) as raised:
            await ask(connect(fake.url))
        assert words in str(raised.value)
        assert fake.url in str(raised.value)
        assert (len(fake.requests), sleeps) == (1, [])


@pytest.mark.parametrize(
    "passing",
    [
        BUSY,
        Status(503),
        Status(502, "<html>", content_type="text/html"),
        Stream(in_band("Model is overloaded")),
        Stream(in_band_typed("Model is overloaded", "overloaded")),
    ],
    ids=["429", "503", "502", "in-band chat", "in-band typed"],
)
async def test_what_passes_is_tried_again_with_growing_waits(
    connect: Connect, sleeps: Sleeps, passing: Status | Stream
) -> None:
    async with ModelServerFake(passing, passing, Stream("a")) as fake:
        assert await ask(connect(fake.url)) == "a"
        assert sleeps == [0.25, 0.5]


async def test_retries_end_and_an_overloaded_server_is_called_so(connect: Connect, sleeps: Sleeps) -> None:
    async with ModelServerFake(BUSY) as fake:
        with pytest.raises(ModelOverloaded, match="is overloaded"):
            await ask(connect(fake.url, max_retries=2))
        assert (len(fake.requests), len(sleeps)) == (3, 2)


async def test_retry_after_is_honoured(connect: Connect, sleeps: Sleeps) -> None:
    async with ModelServerFake(Status(429, headers={"Retry-After": "7"}), Stream("a")) as fake:
        assert await ask(connect(fake.url)) == "a"
        assert sleeps == [7.25]


async def test_nobody_waits_longer_for_a_retry_than_for_a_first_token(connect: Connect, sleeps: Sleeps) -> None:
    async with ModelServerFake(Status(503, headers={"Retry-After": "20"})) as fake:
        with pytest.raises(ModelUnavailable, match="503"):
            await ask(connect(fake.url, first_token_timeout=10))
        assert (len(fake.requests), sleeps) == (1, [])


async def test_a_server_that_is_down_is_tried_again_until_it_is_up(connect: Connect) -> None:
    url = unused_url()
    async with contextlib.AsyncExitStack() as stack:

        async def start_it_meanwhile(seconds: float) -> None:
            await stack.enter_async_context(ModelServerFake(Stream("a"), port=int(url.rpartition(":")[2])))

        assert await ask(connect(url, sleep=start_it_meanwhile)) == "a"


async def test_a_server_that_stays_down_is_called_so(connect: Connect, sleeps: Sleeps) -> None:
    url = unused_url()
    with pytest.raises(ModelUnavailable, match=f"{url} cannot be reached .*MODEL_URL"):
        await ask(connect(url))
    assert len(sleeps) == 4


async def test_a_password_in_the_url_is_not_shown(connect: Connect) -> None:
    url = unused_url()
    with pytest.raises(ModelUnavailable) as raised:
        await ask(connect(url.replace("http://", "http://user:s3cret@")))
    assert "s3cret" not in str(raised.value)
    assert url in str(raised.value)


async def test_a_server_that_does_not_take_the_connection_is_given_up_in_time(connect: Connect, sleeps: Sleeps) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()):  # its queue holds no second one
            url = f"http://127.0.0.1:{full.getsockname()[1]}"
            with pytest.raises(ModelUnavailable, match="no answer in time"):
                await ask(connect(url, connect_timeout=0.05))
    assert sleeps == []


async def test_a_connection_lost_before_the_first_token_is_tried_once_more(connect: Connect, sleeps: Sleeps) -> None:
    async with ModelServerFake(Stream(Break()), Stream("a")) as fake:
        assert await ask(connect(fake.url)) == "a"
    async with ModelServerFake(Stream(Break())) as fake:
        with pytest.raises(ModelUnavailable, match=r"closed the connection|without finishing"):
            await ask(connect(fake.url))
        assert len(fake.requests) == 2


@pytest.mark.parametrize("reply", [Stream(Stall()), Stream(b": ping\n\n", {"choices": []}, "", Stall())])
async def test_no_first_token_in_time_gives_up_and_hangs_up(connect: Connect, reply: Stream) -> None:
    async with ModelServerFake(reply) as fake:
        with pytest.raises(ModelUnavailable, match=r"no token within 0.1 s \(MODEL_FIRST_TOKEN_TIMEOUT\)"):
            await ask(connect(fake.url, first_token_timeout=0.1))
        await fake.disconnected()


@pytest.mark.parametrize("reply", [Stream("a", Stall()), Stream("a", b": ping\n\n", "", Stall())])
async def test_a_stalled_stream_is_broken_and_hangs_up(connect: Connect, reply: Stream) -> None:
    async with ModelServerFake(reply) as fake:
        with pytest.raises(ModelStreamBroken, match=r"no token for 0.1 s \(MODEL_STALL_TIMEOUT\)"):
            await ask(connect(fake.url, stall_timeout=0.1))
        await fake.disconnected()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Stream("a", Break()), "broke off"),
        (Stream("a", finish=None, done=False), "without finishing"),
        (Stream("a", in_band("Model is overloaded")), "is overloaded"),
        (Stream("a", in_band_typed("oom", "generation")), "424: oom"),
        (Stream("a", {"error": {"code": 500, "message": "slot died"}}), "slot died"),
        (Stream("a", b"data: {junk\n\n"), "not JSON"),
        (Stream("a", b"x" * (MAX_EVENT_BYTES + 1)), "longer than"),
        (Stream("a", {"choices": [{"delta": {"content": "x" * 2000}}]}), "far more text than was asked for"),
    ],
)
async def test_after_the_first_token_nothing_is_tried_again(
    connect: Connect, sleeps: Sleeps, reply: Stream, words: str
) -> None:
    async with ModelServerFake(reply) as fake:
        pieces = connect(fake.url).model("tgi").stream(ASK, max_tokens=9)
        assert await anext(pieces) == "a"
        with pytest.raises(ModelStreamBroken, match=words):
            await anext(pieces)
        assert (len(fake.requests), sleeps) == (1, [])


@pytest.fixture
async def garbage() -> AsyncIterator[str]:
    """The URL of a server that does not speak HTTP."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def test_a_server_that_does_not_speak_http_is_called_so(connect: Connect, garbage: str) -> None:
    with pytest.raises(ModelUnavailable, match=r"does not speak HTTP .*MODEL_URL"):
        await ask(connect(garbage))
    with pytest.raises(ModelUnavailable, match="does not speak HTTP"):
        await connect(garbage).check()
