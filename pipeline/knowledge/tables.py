"""The catalog's tables: the truth about which documents and passages there are.

`bot/store` creates them by migration; nothing here reads or writes the bot's tables.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

knowledge_metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, always in UTC: SQLite forgets time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class _Base(DeclarativeBase):
    metadata = knowledge_metadata


class DocumentRow(_Base):
    """A version of a document. One version is visible; a running sync adds the next one beside it."""

    __tablename__ = "documents"
    __table_args__ = (Index(None, "tenant", "source", "visible"),)

    tenant: Mapped[str] = mapped_column(String(200), primary_key=True)
    id: Mapped[str] = mapped_column(String(1200), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    source: Mapped[str] = mapped_column(String(200))
    location: Mapped[str] = mapped_column(String(1000))
    title: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 (hex) of title and text."""
    file_hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 (hex) of the bytes: an unchanged file is not even converted."""
    recipe: Mapped[str] = mapped_column(String(100))
    """Converter, splitter and embedder that made the passages: with another recipe they are made anew."""
    sync: Mapped[str] = mapped_column(String(32))
    """The sync that wrote this version."""
    visible: Mapped[bool] = mapped_column(Boolean)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    key: Mapped[str] = mapped_column(String(1000), server_default="")
    """Its name within the source, by which a sync recognises it; the id stays when a document is renamed."""
    stamp: Mapped[str] = mapped_column(String(200), server_default="")
    """What the source says of this content without it being read (a Git blob, an ETag); empty where it cannot."""
    language: Mapped[str] = mapped_column(String(20), server_default="")
    """`en`, `pt-br`; empty where nothing says so."""
    release: Mapped[str] = mapped_column(String(60), server_default="")
    """The product version that the page is about: `2.3`, `latest`; empty where nothing says so."""
    signature: Mapped[bytes] = mapped_column(LargeBinary, server_default="")
    """MinHash of the text (`folding.signature`)."""
    fold: Mapped[str] = mapped_column(String(32), server_default="")
    """Shared by near-duplicate documents of the tenant (versions, languages, copies); empty for one of a kind."""


class PassageRow(_Base):
    """A passage. Invisible ones are being added by a sync, or wait to be removed from the indexes."""

    __tablename__ = "passages"
    __table_args__ = (
        Index(None, "tenant", "source", "visible"),
        Index(None, "tenant", "document_id"),
        Index(None, "tenant", "indexed_by"),
    )

    tenant: Mapped[str] = mapped_column(String(200), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    document_id: Mapped[str] = mapped_column(String(1200))
    source: Mapped[str] = mapped_column(String(200))
    location: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    heading_path: Mapped[list[str]] = mapped_column(JSON)
    text: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(Integer)
    sync: Mapped[str] = mapped_column(String(32))
    """The last sync that found the passage in its document."""
    visible: Mapped[bool] = mapped_column(Boolean)
    indexed_by: Mapped[str] = mapped_column(String(40))
    """The embedder whose vector is in the index; empty until both indexes hold the passage."""
    language: Mapped[str] = mapped_column(String(20), server_default="")
    """This and the next two: copied from the document, so that a query reads one table."""
    release: Mapped[str] = mapped_column(String(60), server_default="")
    fold: Mapped[str] = mapped_column(String(32), server_default="")


class SwitchRow(_Base):
    """One row, in SQLite only: another number after each change of what readers may see (`switches`)."""

    __tablename__ = "switches"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    """Random, so that none comes back, not even with a restored backup."""


class SyncRow(_Base):
    """One run of a sync."""

    __tablename__ = "syncs"
    __table_args__ = (Index(None, "tenant", "source", "started_at"),)

    tenant: Mapped[str] = mapped_column(String(200), primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    source: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(20))
    """`running`, `done` or `failed`; `running` for ever means that the process was killed."""
    added: Mapped[int] = mapped_column(Integer, default=0)
    changed: Mapped[int] = mapped_column(Integer, default=0)
    removed: Mapped[int] = mapped_column(Integer, default=0)
    unchanged: Mapped[int] = mapped_column(Integer, default=0)
    failed: Mapped[list[list[str]]] = mapped_column(JSON, default=list)
    """Pairs of location and reason."""
    passages: Mapped[int] = mapped_column(Integer, default=0)
    seconds: Mapped[float] = mapped_column(Float, default=0.0)
    error: Mapped[str | None] = mapped_column(Text, default=None)
    """Why it failed."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    kind: Mapped[str] = mapped_column(String(200), server_default="directory")
    """The source's kind, as in `knowledge.toml`."""
    renamed: Mapped[int] = mapped_column(Integer, default=0, server_default="0")


class LeaseRow(_Base):
    """Who is syncing a tenant's documents: one process at a time."""

    __tablename__ = "sync_leases"

    tenant: Mapped[str] = mapped_column(String(200), primary_key=True)
    holder: Mapped[str] = mapped_column(String(300))
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    """Renewed while the sync runs; past it the holder is taken to be dead."""


class EmbedderRow(_Base):
    """An embedder that an index was, or is being, written by, since one was promoted. Where there is no row,
    EMBEDDING_MODEL serves."""

    __tablename__ = "embedders"

    fingerprint: Mapped[str] = mapped_column(String(40), primary_key=True)
    """As in the collections' names."""
    model: Mapped[str] = mapped_column(String(1000))
    """Name or folder."""
    state: Mapped[str] = mapped_column(String(20))
    """`building`, `serving` (one at most), `previous` (one at most: its index is kept for a roll-back), `refused`
    or `retired`."""
    history: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    """What was done with it, oldest first: `at`, `what`, and the figures that it was promoted or refused by."""
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WebPageRow(_Base):
    """What a website said of a page, for the next conditional request."""

    __tablename__ = "web_pages"

    tenant: Mapped[str] = mapped_column(String(200), primary_key=True)
    source: Mapped[str] = mapped_column(String(200), primary_key=True)
    url: Mapped[str] = mapped_column(String(1000), primary_key=True)
    etag: Mapped[str] = mapped_column(Text)
    last_modified: Mapped[str] = mapped_column(Text)
    body_hash: Mapped[str] = mapped_column(String(64))
    """SHA-256 (hex) of the body."""
    media_type: Mapped[str] = mapped_column(String(100))
    links: Mapped[list[str]] = mapped_column(JSON)
    """Where the page leads: a crawl follows them also when the page itself has not changed."""
