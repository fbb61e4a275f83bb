"""Citations of answers, and whether what they cite still stands

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "citations",
        sa.Column("question_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("passage_id", sa.String(length=32), nullable=False),
        sa.Column("document_id", sa.String(length=1200), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("stale_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(length=16), nullable=False, server_default=""),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["question_id"],
            ["questions.id"],
            name=op.f("fk_citations_question_id_questions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("question_id", "number", name=op.f("pk_citations")),
    )
    op.create_index(op.f("ix_citations_tenant_passage_id"), "citations", ["tenant", "passage_id"])
    op.create_index(op.f("ix_citations_stale_since"), "citations", ["stale_since"])


def downgrade() -> None:
    op.drop_table("citations")
