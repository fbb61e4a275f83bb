"""From a source's files to what has changed in them. Blocking: reading, hashing, converting and splitting."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from pipeline.errors import DocumentUnreadable, NotADocument
from pipeline.knowledge.convert import Converted
from pipeline.knowledge.editions import edition_of
from pipeline.knowledge.folding import signature
from pipeline.knowledge.identity import Identities
from pipeline.knowledge.ledger import Known, Staged
from pipeline.knowledge.passages import LineLinks, Splitter
from pipeline.knowledge.sections import sections
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
    touched: tuple[str, str] | None
    """New file hash and stamp, where other bytes hold the same text or the stamp is another one."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A new or changed document and its passages."""

    location: str
    staged: Staged
    passages: tuple[Passage, ...]
    before: Known | None
    """The version that it replaces."""
    renamed: bool
    """That version has another key: the document was moved."""

    @property
    def same_text(self) -> bool:
        """Only the recipe has changed, not the document."""
        return self.before is not None and self.before.content_hash == self.staged.document.content_hash


@dataclass(frozen=True, slots=True)
class Failed:
    """A document that cannot be read."""

    location: str
    reason: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is no document after all."""

    location: str
    before: Known | None
    """The document that it was once."""


Outcome = Unchanged | Prepared | Failed | Skipped


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one source's files for one tenant."""

    tenant: str
    source: str
    recipe: str
    splitter: Splitter
    identities: Identities
    """Which document a file is."""
    convert: Callable[[bytes, str], Converted]
    """From bytes and a file name."""
    language: str = ""
    """Of all documents that do not say otherwise."""
    release: str = ""
    """Of all documents that do not say otherwise."""

    def read(self, files: Sequence[SourceFile], changes: int) -> list[Outcome]:
        """What has become of the first files: of all, or as far as the one with which `changes` are not as they were."""
        outcomes: list[Outcome] = []
        for file in files:
            outcomes.append(self._read(file))
            changes -= not isinstance(outcomes[-1], Unchanged)
            if changes <= 0:
                break
        return outcomes

    def _read(self, file: SourceFile) -> Outcome:
        before = self.identities.known.get(file.identity)
        try:
            if max(len(file.location), len(file.identity)) > LONGEST_LOCATION:
                raise DocumentUnreadable(f"its path has more than {LONGEST_LOCATION} characters")
            if before is not None and before.recipe == self.recipe and file.stamp and before.stamp == file.stamp:
                return Unchanged(file.location, before.id, None)
            return self._changes(file, before, file.load())
        except NotADocument:
            return Skipped(file.location, before)
        except DocumentUnreadable as exc:
            return Failed(file.location, str(exc))
        except OSError as exc:
            return Failed(file.location, exc.strerror or type(exc).__name__)
        except Exception as exc:  # a converter's bug with one strange page must not stop all others
            log.warning("document_conversion_failed", location=file.location, exc_info=True)
            return Failed(file.location, f"cannot be converted ({type(exc).__name__})")

    def _changes(self, file: SourceFile, before: Known | None, data: bytes) -> Outcome:
        file_hash = hashlib.sha256(data).hexdigest()
        same_recipe = before is not None and before.recipe == self.recipe
        if before is not None and same_recipe and before.file_hash == file_hash:
            return Unchanged(file.location, before.id, None if before.stamp == file.stamp else (file_hash, file.stamp))
        converted = self.convert(data, file.name)
        content_hash = hash_content(converted.title, converted.text)
        language, release = self._edition(file, converted)
        same_edition = before is not None and (before.language, before.release) == (language, release)
        if before is not None and same_recipe and same_edition and before.content_hash == content_hash:
            return Unchanged(file.location, before.id, (file_hash, file.stamp))
        moved = self.identities.moved(file_hash, content_hash) if before is None else None
        before = before or moved
        document = Document(
            id=before.id if before else self.identities.new_id(file.identity),
            tenant=self.tenant,
            source=self.source,
            location=file.location,
            title=converted.title,
            text=converted.text,
            content_hash=content_hash,
        )
        staged = Staged(
            document=document,
            key=file.identity,
            version=before.version + 1 if before else 1,
            file_hash=file_hash,
            recipe=self.recipe,
            stamp=file.stamp,
            language=language,
            release=release,
            signature=signature(document.text),
        )
        passages = tuple(
            replace(passage, language=language, release=release)
            for passage in self._passages(file, document, converted)
        )
        return Prepared(file.location, staged, passages, before, moved is not None)

    def _edition(self, file: SourceFile, converted: Converted) -> tuple[str, str]:
        """Language and release: what is closest to the document counts."""
        edition = edition_of(file.name)
        return (
            file.language or converted.language or edition.language or self.language,
            file.release or converted.release or edition.release or self.release,
        )

    def _passages(self, file: SourceFile, document: Document, converted: Converted) -> tuple[Passage, ...]:
        parts = sections(document.text) if converted.sections is None else converted.sections
        known_lines = file.lines_url and converted.first_line is not None
        lines = LineLinks(file.lines_url, converted.first_line or 0) if known_lines else None
        return self.splitter.split_sections(document, parts, lines)


def hash_content(title: str, text: str) -> str:
    """SHA-256 (hex) of title and text."""
    return hashlib.sha256(f"{title}\n{text}".encode()).hexdigest()
