"""The console that most of these tests talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes import web_sample as sample
from tests.fakes.web_console import Console, console_with
from tests.fakes.web_store import playing, steps_of


@pytest.fixture
async def console() -> AsyncIterator[Console]:
    """Answers every question with the sample answer."""
    async with console_with(playing(*steps_of(sample.answer()))) as running:
        yield running
