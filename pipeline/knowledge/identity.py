"""Which document a file is: by its key, or, when it was moved, by its content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.knowledge.ledger import Known


class Identities:
    """The documents that a source had, and those that it has no more under their key."""

    def __init__(self, source: str, known: Mapping[str, Known], present: Iterable[str]) -> None:
        """`known`: by key; `present`: the keys that the source has now."""
        self.known = known
        self._source = source
        self._taken = {document.id for document in known.values()}
        gone = known.keys() - set(present)
        self.gone = {key: known[key] for key in sorted(gone)}
        """Removed, as long as no new file turns out to be one of them."""
        self._by_content: dict[str, list[str]] = {}
        for key, document in self.gone.items():
            for content in {document.file_hash, document.content_hash}:
                self._by_content.setdefault(content, []).append(key)

    def moved(self, file_hash: str, content_hash: str) -> Known | None:
        """The document that was moved, if one with the same bytes or the same text is gone; it is found only once."""
        for content in (file_hash, content_hash):
            for key in self._by_content.get(content, ()):
                if found := self.gone.pop(key, None):
                    return found
        return None

    def new_id(self, key: str) -> str:
        """The id of a document that was not there: another one may have left this place and kept its id."""
        candidate, number = f"{self._source}:{key}", 1
        while candidate in self._taken:
            number += 1
            candidate = f"{self._source}:{key}~{number}"
        self._taken.add(candidate)
        return candidate
