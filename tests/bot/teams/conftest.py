"""A running bot for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.teams_bot import TeamsBot, running_bot


@pytest.fixture
async def bot() -> AsyncIterator[TeamsBot]:
    async with running_bot() as running:
        yield running
