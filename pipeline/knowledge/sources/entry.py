"""One entry of `knowledge.toml`: a declared source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipeline.errors import DeclarationError
from pipeline.knowledge.schedules import Timetable
from pipeline.knowledge.sources.base import Choice, Source
from pipeline.types import SHARED


@dataclass(frozen=True, slots=True)
class WebPage:
    """What a website said of a page."""

    etag: str
    last_modified: str
    body_hash: str
    """SHA-256 (hex)."""
    media_type: str
    links: tuple[str, ...]


class PageMemory(Protocol):
    """Keeps `WebPage`s from one sync to the next."""

    async def load(self) -> Mapping[str, WebPage]:
        """By URL."""

    async def store(self, url: str, page: WebPage) -> None: ...

    async def forget(self, urls: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Kit:
    """What a source may use."""

    folder: Path = Path()
    """Paths in the entry are relative to it: where `knowledge.toml` is."""
    cache: Path = Path("data/sources")
    """For copies that make the next sync cheaper; it may be deleted at any time."""
    pages: PageMemory | None = field(default=None)


class Entry(BaseModel):
    """The keys that every kind has. A kind adds its own, and says how its source is built."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    """Part of every document's id: renaming a source indexes it anew."""
    kind: str
    location: Annotated[str, Field(min_length=1)]
    """A path or URL."""
    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] = SHARED
    """Who may read it; `shared`: everybody."""
    include: list[str] = ["*"]
    """Patterns as in a shell; `*` also stands for slashes."""
    exclude: list[str] = []
    schedule: str = ""
    """`every 6h`, or five cron fields in UTC; empty: by hand only."""
    language: str = ""
    """Of documents that do not say otherwise."""
    version: str = ""
    """The product version that documents are about if they do not say otherwise."""
    base_url: str = ""
    """Where people open the documents, if not where they are read."""

    @field_validator("schedule")
    @classmethod
    def _readable(cls, value: str) -> str:
        if value:
            Timetable(value)
        return value

    @property
    def choice(self) -> Choice:
        return Choice(tuple(self.include), tuple(self.exclude))

    def open(self, kit: Kit) -> Source:
        """Build the source. Connects to nothing yet. Raises `DeclarationError`."""
        raise NotImplementedError  # each kind of entry has its own; without one it is a mistake in its class

    def path(self, kit: Kit) -> Path:
        """`location` as a path."""
        return kit.folder / Path(self.location).expanduser()

    def wrong(self, key: str, problem: str) -> DeclarationError:
        """The error for a key whose value cannot work."""
        return DeclarationError(f"Source {self.name!r}: {key}: {problem}")
