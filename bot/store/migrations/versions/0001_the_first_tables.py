"""The first tables

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "questions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("conversation", sa.String(length=512), nullable=False),
        sa.Column("thread", sa.String(length=512), nullable=False),
        sa.Column("message_id", sa.String(length=512), nullable=False),
        sa.Column("person_id", sa.String(length=256), nullable=False),
        sa.Column("person_name", sa.String(length=256), nullable=True),
        sa.Column("person_team", sa.String(length=256), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.JSON(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reply_id", sa.String(length=512), nullable=True),
        sa.Column("apology", sa.Text(), nullable=True),
        sa.Column("error_id", sa.String(length=32), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_questions")),
    )
    with op.batch_alter_table("questions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_questions_platform_tenant_conversation_reply_id"),
            ["platform", "tenant", "conversation", "reply_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_questions_platform_tenant_conversation_thread"),
            ["platform", "tenant", "conversation", "thread"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_questions_state_accepted_at"), ["state", "accepted_at"], unique=False)

    op.create_table(
        "replicas",
        sa.Column("executor_id", sa.String(length=64), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("executor_id", name=op.f("pk_replicas")),
    )
    op.create_table(
        "answers",
        sa.Column("question_id", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("abstained", sa.Boolean(), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["question_id"], ["questions.id"], name=op.f("fk_answers_question_id_questions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("question_id", name=op.f("pk_answers")),
    )
    op.create_table(
        "rating_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("question_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=256), nullable=False),
        sa.Column("vote", sa.String(length=8), nullable=False),
        sa.Column("gesture", sa.String(length=64), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["question_id"], ["questions.id"], name=op.f("fk_rating_events_question_id_questions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rating_events")),
        sa.UniqueConstraint(
            "question_id",
            "person_id",
            "gesture",
            "vote",
            "removed",
            "at",
            name=op.f("uq_rating_events_question_id_person_id_gesture_vote_removed_at"),
        ),
    )
    op.create_table(
        "ratings",
        sa.Column("question_id", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.String(length=256), nullable=False),
        sa.Column("person_name", sa.String(length=256), nullable=True),
        sa.Column("person_team", sa.String(length=256), nullable=True),
        sa.Column("vote", sa.String(length=8), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("rated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["question_id"], ["questions.id"], name=op.f("fk_ratings_question_id_questions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("question_id", "person_id", name=op.f("pk_ratings")),
    )
    op.create_table(
        "documents",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=1200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("location", sa.String(length=1000), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("file_hash", sa.String(length=64), nullable=False),
        sa.Column("recipe", sa.String(length=100), nullable=False),
        sa.Column("sync", sa.String(length=32), nullable=False),
        sa.Column("visible", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", "version", name=op.f("pk_documents")),
    )
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_documents_tenant_source"), ["tenant", "source"], unique=False)

    op.create_table(
        "passages",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("document_id", sa.String(length=1200), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("heading_path", sa.JSON(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("sync", sa.String(length=32), nullable=False),
        sa.Column("visible", sa.Boolean(), nullable=False),
        sa.Column("indexed_by", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_passages")),
    )
    with op.batch_alter_table("passages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_passages_tenant_document_id"), ["tenant", "document_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_passages_tenant_source_visible"), ["tenant", "source", "visible"], unique=False
        )

    op.create_table(
        "syncs",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("failed", sa.JSON(), nullable=False),
        sa.Column("passages", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id", name=op.f("pk_syncs")),
    )
    with op.batch_alter_table("syncs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_syncs_tenant_source_started_at"), ["tenant", "source", "started_at"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("syncs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_syncs_tenant_source_started_at"))

    op.drop_table("syncs")
    with op.batch_alter_table("passages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_passages_tenant_source_visible"))
        batch_op.drop_index(batch_op.f("ix_passages_tenant_document_id"))

    op.drop_table("passages")
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_documents_tenant_source"))

    op.drop_table("documents")
    op.drop_table("ratings")
    op.drop_table("rating_events")
    op.drop_table("answers")
    op.drop_table("replicas")
    with op.batch_alter_table("questions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_questions_state_accepted_at"))
        batch_op.drop_index(batch_op.f("ix_questions_platform_tenant_conversation_thread"))
        batch_op.drop_index(batch_op.f("ix_questions_platform_tenant_conversation_reply_id"))

    op.drop_table("questions")
