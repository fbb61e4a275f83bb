"""A number that changes with what readers may see

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Written out, as in every migration: what it does must not change with the code. The tests of `pipeline/knowledge/switches.py` run on both.
_TRIGGERS = (
    "CREATE TRIGGER passages_insert_switches AFTER INSERT ON passages WHEN new.visible"
    " BEGIN UPDATE switches SET number = random(); END",
    "CREATE TRIGGER passages_update_switches AFTER UPDATE OF tenant, id, document_id, location, title, heading_path, text,"
    " position, visible, language, release, fold ON passages WHEN old.visible OR new.visible"
    " BEGIN UPDATE switches SET number = random(); END",
    "CREATE TRIGGER passages_delete_switches AFTER DELETE ON passages WHEN old.visible"
    " BEGIN UPDATE switches SET number = random(); END",
)


def upgrade() -> None:
    op.create_table(
        "switches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_switches")),
    )
    if op.get_bind().dialect.name != "sqlite":  # where syncs that switch at the same time would wait for the row
        return
    for trigger in _TRIGGERS:
        op.execute(trigger)
    op.execute("INSERT INTO switches (id, number) VALUES (1, random())")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER passages_{name}_switches")
    op.drop_table("switches")
