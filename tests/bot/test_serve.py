"""The start of `promptai serve`."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from bot.app import Core
from bot.serve import serve
from pipeline.errors import IndexUnavailable


class Loading:
    """A core whose embedder cannot be loaded, and that has nothing else yet."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    async def pipeline(self) -> None:
        self.loaded.append("model")

    async def warm(self) -> None:
        self.loaded.append("embedder")
        raise IndexUnavailable("EMBEDDING_MODEL: broken")


async def test_nothing_is_begun_before_models_and_embedder_are_loaded() -> None:
    """No question is taken up, and no port opened, that would have to wait for them; what cannot be loaded stops the start."""
    core = Loading()
    with pytest.raises(IndexUnavailable, match="broken"):
        await serve(cast(Core, core), ready=lambda *_: None, stop=asyncio.Event())
    assert core.loaded == ["model", "embedder"]
