"""From a source's files to what has changed in them. Blocking: reading, hashing, converting and splitting."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from pipeline.errors import DocumentUnreadable
from pipeline.knowledge.convert import convert
from pipeline.knowledge.ledger import Known, Staged
from pipeline.knowledge.passages import Splitter
from pipeline.knowledge.sources import SourceFile
from pipeline.types import Document, Passage

log = structlog.get_logger(__name__)

LONGEST_LOCATION = 1000
"""Characters; the catalog's column holds as many."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The bytes, or at least the text, are as they were."""

    location: str
    document_id: str
    new_file_hash: str | None
    """Where other bytes hold the same text."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A new or changed document and its passages."""

    location: str
    staged: Staged
    passages: tuple[Passage, ...]
    before: Known | None
    """The version that it replaces."""

    @property
    def same_text(self) -> bool:
        """Only the recipe has changed, not the document."""
        return self.before is not None and self.before.content_hash == self.staged.document.content_hash


@dataclass(frozen=True, slots=True)
class Failed:
    """A document that cannot be read."""

    location: str
    document_id: str
    reason: str


Outcome = Unchanged | Prepared | Failed


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one source's files for one tenant."""

    tenant: str
    source: str
    recipe: str
    splitter: Splitter
    known: Mapping[str, Known]
    """The visible documents, by id."""
    max_bytes: int

    def read(self, files: Sequence[SourceFile]) -> list[Outcome]:
        """What has become of each file."""
        return [self._read(file) for file in files]

    def _read(self, file: SourceFile) -> Outcome:
        document_id = f"{self.source}:{file.location}"
        try:
            if len(file.location) > LONGEST_LOCATION:
                raise DocumentUnreadable(f"its path has more than {LONGEST_LOCATION} characters")
            return self._changes(file, document_id, file.load())
        except DocumentUnreadable as exc:
            return Failed(file.location, document_id, str(exc))
        except OSError as exc:
            return Failed(file.location, document_id, exc.strerror or type(exc).__name__)
        except Exception as exc:  # a converter's bug with one strange page must not stop all others
            log.warning("document_conversion_failed", location=file.location, exc_info=True)
            return Failed(file.location, document_id, f"cannot be converted ({type(exc).__name__})")

    def _changes(self, file: SourceFile, document_id: str, data: bytes) -> Outcome:
        file_hash = hashlib.sha256(data).hexdigest()
        before = self.known.get(document_id)
        same_recipe = before is not None and before.recipe == self.recipe
        if before is not None and same_recipe and before.file_hash == file_hash:
            return Unchanged(file.location, document_id, None)
        converted = convert(data, file.name, max_bytes=self.max_bytes)
        content_hash = hash_content(converted.title, converted.text)
        if before is not None and same_recipe and before.content_hash == content_hash:
            return Unchanged(file.location, document_id, file_hash)
        document = Document(
            id=document_id,
            tenant=self.tenant,
            source=self.source,
            location=file.location,
            title=converted.title,
            text=converted.text,
            content_hash=content_hash,
        )
        staged = Staged(document, before.version + 1 if before else 1, file_hash, self.recipe)
        return Prepared(file.location, staged, self.splitter.split(document), before)


def hash_content(title: str, text: str) -> str:
    """SHA-256 (hex) of title and text."""
    return hashlib.sha256(f"{title}\n{text}".encode()).hexdigest()
