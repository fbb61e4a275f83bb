"""Opening the database, bringing its tables up to date, and translating its errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.errors import SettingsError, StoreUnavailable

Engine = AsyncEngine
"""What `open_engine` returns; others name it without importing SQLAlchemy."""

SQLITE_FILE = "promptai.sqlite"
WORKFLOWS_FILE = "workflows.sqlite"


def sqlite_file(data_dir: Path) -> Path:
    """Where SQLite keeps our tables."""
    return data_dir / SQLITE_FILE


def database_url(url: str | None, data_dir: Path) -> URL:
    """The async URL of the database: PostgreSQL as given, or SQLite in the data folder."""
    if url is None:
        return URL.create("sqlite+aiosqlite", database=str(sqlite_file(data_dir)))
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return parsed.set(drivername="sqlite+aiosqlite")
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+asyncpg")
    raise SettingsError("DATABASE_URL must start with postgresql:// (or be unset for SQLite).")


def workflow_database_url(url: str | None, data_dir: Path) -> str:
    """Where DBOS keeps its tables: a schema of its own in PostgreSQL, or a file of its own beside our SQLite."""
    if url is None or _parse(url).get_backend_name() == "sqlite":
        return f"sqlite:///{data_dir / WORKFLOWS_FILE}"
    return _parse(url).set(drivername="postgresql").render_as_string(hide_password=False)


def prepare_workflow_database(url: str) -> None:
    """Put a SQLite file into WAL mode before DBOS opens it, which then stays so. Raises `StoreUnavailable`.

    DBOS opens it in SQLite's oldest mode, in which every commit waits for the disk twice and shuts readers out.
    """
    if _parse(url).get_backend_name() != "sqlite":
        return
    engine = create_engine(url)
    try:
        with store_errors(), engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    finally:
        engine.dispose()


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except SQLAlchemyError as exc:
        raise SettingsError("DATABASE_URL is no database URL; write postgresql://user:password@host/name.") from exc


def open_engine(url: URL) -> AsyncEngine:
    """An engine; nothing connects yet. Close it with `await engine.dispose()`."""
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, pool_size=8, max_overflow=0, pool_timeout=60)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        return engine
    return create_async_engine(url, pool_size=20, max_overflow=0, pool_pre_ping=True)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # WAL lets readers go on while one writes; a commit then survives a killed process. NORMAL may lose the last
    # commits when the machine loses power: use PostgreSQL where that matters.
    pragmas = ["journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON"]
    # KiB of pages: in the 2 MB of the default not even the keys of 30,000 passages stay
    for pragma in (*pragmas, "cache_size=-16384"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@contextmanager
def store_errors() -> Iterator[None]:
    """Translate what a database raises that may work again later. What is wrong with a statement itself is a bug, and
    no waiting helps: that is passed on."""
    try:
        yield
    except (SQLAlchemyError, OSError) as exc:
        if _is_permanent(exc):
            raise
        raise StoreUnavailable(
            f"The database failed ({type(exc).__name__}). Check that it is running and DATABASE_URL is right; "
            "for SQLite, that the disk is not full."
        ) from exc


def _is_permanent(exc: Exception) -> bool:
    if isinstance(exc, IntegrityError | DataError | ProgrammingError):
        return True
    # asyncpg's errors of other classes arrive as one kind; the SQLSTATE tells data (22), integrity (23) and syntax (42).
    state = getattr(getattr(exc, "orig", None), "sqlstate", None)
    return isinstance(state, str) and state[:2] in ("22", "23", "42")


def insert_or_ignore(engine: AsyncEngine, table: Any) -> Any:
    """An insert that does nothing where the row is there already."""
    insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing()


async def migrate(engine: AsyncEngine) -> tuple[str | None, str]:
    """Bring all tables up to date; returns (revision before, revision now). Raises `StoreUnavailable`."""
    with store_errors():
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade)


async def pending_migration(engine: AsyncEngine) -> bool:
    """True if `promptai migrate` has something to do. Raises `StoreUnavailable`."""
    with store_errors():
        async with engine.connect() as connection:
            before = await connection.run_sync(_revision)
    return before != _head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _head() -> str:
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    before = _revision(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return before, _head()
