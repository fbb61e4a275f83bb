"""What the tests of model servers share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pipeline.llm import Message
from pipeline.llm.tgi import ModelServer

ASK = [Message("user", "What is a rebuffer?")]


class Sleeps(list[float]):
    """A clock's sleep that only writes down how long it was asked to."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
async def connect(sleeps: Sleeps) -> AsyncIterator[Callable[..., ModelServer]]:
    """Makes a `ModelServer` for a URL that waits without waiting and draws the longest wait."""
    servers: list[ModelServer] = []

    def make(url: str, **settings: Any) -> ModelServer:
        server = ModelServer(url, **({"sleep": sleeps, "uniform": lambda low, high: high} | settings))
        servers.append(server)
        return server

    yield make
    for server in servers:
        await server.close()
