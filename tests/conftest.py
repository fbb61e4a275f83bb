"""Fixtures that several packages' tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import database_url, migrate, open_engine
from tests.fakes.postgres import PostgresMissing, run_postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty PostgreSQL server of our own; skips where none is installed."""
    try:
        with run_postgres(tmp_path_factory.mktemp("postgres")) as url:
            yield url
    except PostgresMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(params=["sqlite", "postgres"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """A migrated, empty database of each kind."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres")
    engine = open_engine(database_url(url, tmp_path))
    if url is not None:
        async with engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
    await migrate(engine)
    yield engine
    await engine.dispose()
