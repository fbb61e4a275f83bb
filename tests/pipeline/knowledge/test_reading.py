"""How far a source is read in one go."""

from __future__ import annotations

import hashlib

from pipeline.knowledge.convert import convert
from pipeline.knowledge.identity import Identities
from pipeline.knowledge.ledger import Known
from pipeline.knowledge.passages import Splitter
from pipeline.knowledge.reading import Prepared, Reader, Unchanged
from pipeline.knowledge.sources import SourceFile
from pipeline.retrieval import HashingEmbedder

TEXT = b"# Page\n\nSomething about buffers."


def reader(*unchanged: str) -> Reader:
    known = {
        name: Known(f"docs:{name}", name, 1, hashlib.sha256(TEXT).hexdigest(), "", "r", "", "", "")
        for name in unchanged
    }
    identities = Identities("docs", known, known)
    return Reader("shared", "docs", "r", Splitter(HashingEmbedder()), identities, convert)


def files(*names: str) -> list[SourceFile]:
    return [SourceFile(name, name, lambda: TEXT) for name in names]


def test_reading_goes_on_past_what_is_as_it_was_and_stops_at_enough_changes() -> None:
    outcomes = reader("a.md", "c.md").read(files("a.md", "b.md", "c.md", "d.md", "e.md"), 2)
    assert [type(outcome) for outcome in outcomes] == [Unchanged, Prepared, Unchanged, Prepared]


def test_where_little_has_changed_all_files_are_read() -> None:
    outcomes = reader("a.md", "b.md").read(files("a.md", "b.md", "c.md"), 2)
    assert [outcome.location for outcome in outcomes] == ["a.md", "b.md", "c.md"]
