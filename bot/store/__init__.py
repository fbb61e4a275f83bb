"""Questions, answers and ratings in SQL (SQLAlchemy 2, SQLite or PostgreSQL)."""

from bot.store.database import (
    Engine,
    database_url,
    migrate,
    open_engine,
    pending_migration,
    prepare_workflow_database,
    store_errors,
    workflow_database_url,
)
from bot.store.rows import StoredQuestion, answer_id
from bot.store.sql import SqlStore

__all__ = [
    "Engine",
    "SqlStore",
    "StoredQuestion",
    "answer_id",
    "database_url",
    "migrate",
    "open_engine",
    "pending_migration",
    "prepare_workflow_database",
    "store_errors",
    "workflow_database_url",
]
