"""What a source has now, and what it had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import SourceNotFound
from pipeline.knowledge.identity import Identities
from pipeline.knowledge.ledger import Known
from pipeline.knowledge.sources import Source, SourceFile


@dataclass(frozen=True, slots=True)
class Listing:
    """A source's files, each place once."""

    files: tuple[SourceFile, ...]
    twice: tuple[str, ...]
    """Locations that the source named again; the first one counts."""
    identities: Identities


async def list_source(source: Source, known: Mapping[str, Known], *, allow_empty: bool) -> Listing:
    """List all there is. Raises `SourceNotFound`, also for a source that suddenly is empty."""
    files: dict[str, SourceFile] = {}
    twice: list[str] = []
    async for file in source.files():
        if file.identity in files:
            twice.append(file.location)
        else:
            files[file.identity] = file
    if not files and known and not allow_empty:
        raise SourceNotFound(
            f"The source {source.name!r} is empty now, and has {len(known)} documents in the catalog."
            " If they are meant to be removed, sync it again and allow that (--allow-empty)."
        )
    return Listing(tuple(files.values()), tuple(twice), Identities(source.name, known, files))
