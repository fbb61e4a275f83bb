"""What sources know about documents: identity, language, release, near duplicates; leases and web pages

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("documents") as batch:
        batch.add_column(sa.Column("key", sa.String(length=1000), nullable=False, server_default=""))
        batch.add_column(sa.Column("stamp", sa.String(length=200), nullable=False, server_default=""))
        batch.add_column(sa.Column("language", sa.String(length=20), nullable=False, server_default=""))
        batch.add_column(sa.Column("release", sa.String(length=60), nullable=False, server_default=""))
        batch.add_column(sa.Column("signature", sa.LargeBinary(), nullable=False, server_default=""))
        batch.add_column(sa.Column("fold", sa.String(length=32), nullable=False, server_default=""))
    op.execute("UPDATE documents SET key = substr(id, length(source) + 2)")
    with op.batch_alter_table("passages") as batch:
        batch.add_column(sa.Column("language", sa.String(length=20), nullable=False, server_default=""))
        batch.add_column(sa.Column("release", sa.String(length=60), nullable=False, server_default=""))
        batch.add_column(sa.Column("fold", sa.String(length=32), nullable=False, server_default=""))
    with op.batch_alter_table("syncs") as batch:
        batch.add_column(sa.Column("kind", sa.String(length=200), nullable=False, server_default="directory"))
        batch.add_column(sa.Column("renamed", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "sync_leases",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("holder", sa.String(length=300), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_sync_leases")),
    )
    op.create_table(
        "web_pages",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("url", sa.String(length=1000), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("last_modified", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("links", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "source", "url", name=op.f("pk_web_pages")),
    )


def downgrade() -> None:
    op.drop_table("web_pages")
    op.drop_table("sync_leases")
    with op.batch_alter_table("syncs") as batch:
        batch.drop_column("renamed")
        batch.drop_column("kind")
    for table, columns in (
        ("passages", ("fold", "release", "language")),
        ("documents", ("fold", "signature", "release", "language", "stamp", "key")),
    ):
        with op.batch_alter_table(table) as batch:
            for column in columns:
                batch.drop_column(column)
