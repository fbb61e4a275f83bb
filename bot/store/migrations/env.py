"""Alembic's entry: the connection comes from `bot.store.database.migrate`."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from bot.store.tables import Base
from pipeline.knowledge.tables import UtcDateTime, knowledge_metadata


def render_item(kind: str, item: Any, _autogen: Any) -> str | Literal[False]:
    """A new migration names the database's own types: it must not change with our classes."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[Base.metadata, knowledge_metadata],
    render_as_batch=True,
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()
