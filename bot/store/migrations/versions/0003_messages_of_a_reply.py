"""Messages of a reply, and gestures that come before them

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reply_messages",
        sa.Column("question_id", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=512), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["question_id"],
            ["questions.id"],
            name=op.f("fk_reply_messages_question_id_questions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("question_id", "message_id", name=op.f("pk_reply_messages")),
    )
    op.create_index(op.f("ix_reply_messages_message_id"), "reply_messages", ["message_id"], unique=False)
    op.create_table(
        "early_ratings",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("conversation", sa.String(length=512), nullable=False),
        sa.Column("reply_id", sa.String(length=512), nullable=False),
        sa.Column("person_id", sa.String(length=256), nullable=False),
        sa.Column("person_name", sa.String(length=256), nullable=True),
        sa.Column("person_team", sa.String(length=256), nullable=True),
        sa.Column("vote", sa.String(length=8), nullable=False),
        sa.Column("gesture", sa.String(length=64), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_early_ratings")),
    )
    op.create_index(
        op.f("ix_early_ratings_platform_tenant_conversation_reply_id"),
        "early_ratings",
        ["platform", "tenant", "conversation", "reply_id"],
        unique=False,
    )
    op.create_index(op.f("ix_early_ratings_kept_at"), "early_ratings", ["kept_at"], unique=False)


def downgrade() -> None:
    op.drop_table("early_ratings")
    op.drop_table("reply_messages")
