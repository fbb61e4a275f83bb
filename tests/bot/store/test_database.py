"""Migrations and settings of the database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import SettingsError
from bot.store import (
    database_url,
    migrate,
    open_engine,
    pending_migration,
    prepare_workflow_database,
    workflow_database_url,
)
from bot.store.tables import Base
from pipeline.knowledge.tables import knowledge_metadata


async def test_the_migrations_make_exactly_the_tables_of_the_code(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection)
        return compare_metadata(context, [Base.metadata, knowledge_metadata])  # type: ignore[arg-type]

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_twice_changes_nothing(engine: AsyncEngine) -> None:
    before, now = await migrate(engine)
    assert before == now
    assert not await pending_migration(engine)


async def test_an_empty_database_has_a_pending_migration(tmp_path: Path) -> None:
    engine = open_engine(database_url(None, tmp_path))
    assert await pending_migration(engine)
    await engine.dispose()


def test_postgresql_is_reached_through_asyncpg_and_by_dbos_as_given() -> None:
    url = "postgresql://me:secret@db/promptai"
    assert database_url(url, Path()).drivername == "postgresql+asyncpg"
    assert workflow_database_url(url, Path()) == url


def test_without_a_url_both_databases_are_files_of_their_own() -> None:
    assert database_url(None, Path("d")).database == "d/promptai.sqlite"
    assert workflow_database_url(None, Path("d")) == "sqlite:///d/workflows.sqlite"


def test_the_workflows_file_is_in_wal_mode_for_whoever_opens_it_next(tmp_path: Path) -> None:
    """DBOS opens it without a word about the mode."""
    prepare_workflow_database(workflow_database_url(None, tmp_path))
    connection = sqlite3.connect(tmp_path / "workflows.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_postgresql_needs_no_preparation_for_workflows() -> None:
    """Nothing connects: the server may come up later."""
    prepare_workflow_database("postgresql://nobody@127.0.0.1:1/none")


@pytest.mark.parametrize("url", ["mysql://x/y", "no url at all"])
def test_another_database_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        database_url(url, Path())
