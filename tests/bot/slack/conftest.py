"""A running bot for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.slack_bot import SlackBot, running_bot


@pytest.fixture
async def bot() -> AsyncIterator[SlackBot]:
    async with running_bot() as running:
        yield running
