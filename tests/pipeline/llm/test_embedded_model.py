"""The real embedded model's process: what it needs, whom it answers, and that it never outlives the bot."""

from __future__ import annotations

import asyncio
import signal
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np
import psutil
import pytest

from pipeline.llm import BASE, Message, complete
from pipeline.llm.embedded import EmbeddedServer

PARENT = """
import asyncio, sys
from pathlib import Path
from pipeline.llm.embedded import EmbeddedServer

async def main():
    server = EmbeddedServer(Path(sys.argv[1]), context_tokens=512, threads=1)
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def write_adapter(path: Path, *, rank: int = 4) -> Path:
    """A LoRA adapter of random numbers for the first block of SmolLM2-135M, as a GGUF file.

    See https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
    """
    random = np.random.default_rng(0)
    name, inputs, outputs = "blk.0.attn_output.weight", 576, 576
    tensors = {f"{name}.lora_a": (inputs, rank), f"{name}.lora_b": (rank, outputs)}
    text, number = 8, 6
    settings = {
        "general.type": (text, b"adapter"),
        "general.architecture": (text, b"llama"),
        "adapter.type": (text, b"lora"),
        "adapter.lora.alpha": (number, float(rank)),
    }
    header, data = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(settings)), b""
    for key, (kind, value) in settings.items():
        header += _string(key.encode()) + struct.pack("<I", kind)
        header += _string(value) if isinstance(value, bytes) else struct.pack("<f", value)
    for key, shape in tensors.items():
        header += _string(key.encode()) + struct.pack("<IQQIQ", 2, *shape, 0, len(data))
        data += random.normal(scale=0.3, size=shape).astype("<f4").tobytes()
        data += bytes(-len(data) % 32)
    path.write_bytes(header + bytes(-len(header) % 32) + data)
    return path


def _string(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    adapter = write_adapter(tmp_path / "random.gguf")
    server = EmbeddedServer(tmp_path, context_tokens=512, threads=1, adapters={"random": adapter})
    await server.start()
    yield server
    await server.close()


async def test_it_answers_on_this_machine_only_and_only_with_its_key(server: EmbeddedServer) -> None:
    assert server.pid
    listening = [c for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert [connection.laddr.ip for connection in listening] == ["127.0.0.1"]
    endpoint = await server._locate()
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{endpoint.url}/v1/chat/completions", json={"messages": []}) as response,
    ):
        assert response.status == 401


async def test_one_process_serves_base_and_adapter(server: EmbeddedServer) -> None:
    ask = [Message("user", "Name three colours.")]
    base = await complete(server.model(BASE), ask, max_tokens=12)
    adapted = await complete(server.model("random"), ask, max_tokens=12)
    assert base != adapted
    assert await complete(server.model(BASE), ask, max_tokens=12) == base


async def test_when_the_bot_is_killed_the_process_ends(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=root
    )
    assert parent.stdout is not None
    lines = [line async for line in _until_number(parent.stdout)]
    child = psutil.Process(int(lines[-1]))
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(20):
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.05)
    assert parent.returncode == -signal.SIGKILL


async def _until_number(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Lines up to the first that is a number (log lines come before)."""
    while line := (await stream.readline()).decode().strip():
        yield line
        if line.isdigit():
            return
