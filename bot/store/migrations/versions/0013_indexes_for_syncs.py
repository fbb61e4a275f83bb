"""Indexes that answer what a sync asks where nothing has changed

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_documents_tenant_source_visible"), "documents", ["tenant", "source", "visible"])
    op.drop_index(op.f("ix_documents_tenant_source"), "documents")
    op.create_index(op.f("ix_passages_tenant_indexed_by"), "passages", ["tenant", "indexed_by"])


def downgrade() -> None:
    op.drop_index(op.f("ix_passages_tenant_indexed_by"), "passages")
    op.create_index(op.f("ix_documents_tenant_source"), "documents", ["tenant", "source"])
    op.drop_index(op.f("ix_documents_tenant_source_visible"), "documents")
