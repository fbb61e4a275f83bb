"""Reasons and experts of ratings, talk in threads, questions passed on to people

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

RATINGS = ("ratings", "rating_events", "early_ratings")


def upgrade() -> None:
    for table in RATINGS:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("reason", sa.String(length=16), nullable=True))
            batch_op.add_column(sa.Column("expert", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "thread_talk",
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("conversation", sa.String(length=200), nullable=False),
        sa.Column("thread", sa.String(length=200), nullable=False),
        sa.Column("person_id", sa.String(length=256), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("platform", "conversation", "thread", "person_id", name=op.f("pk_thread_talk")),
    )
    op.create_index(op.f("ix_thread_talk_at"), "thread_talk", ["at"], unique=False)
    op.create_table(
        "escalations",
        sa.Column("question_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=256), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message_id", sa.String(length=512), nullable=True),
        sa.ForeignKeyConstraint(
            ["question_id"], ["questions.id"], name=op.f("fk_escalations_question_id_questions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("question_id", name=op.f("pk_escalations")),
    )


def downgrade() -> None:
    op.drop_table("escalations")
    op.drop_table("thread_talk")
    for table in RATINGS:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("expert")
            batch_op.drop_column("reason")
