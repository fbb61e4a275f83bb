"""Alembic's entry: the connection comes from `bot.store.database.migrate`."""

from __future__ import annotations

from alembic import context

from bot.store.tables import Base
from pipeline.knowledge.tables import knowledge_metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[Base.metadata, knowledge_metadata],
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
