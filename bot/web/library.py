"""What the console asks of the documents: the two look-ups behind "open the document"."""

from __future__ import annotations

from typing import Protocol

from pipeline.types import Document, Passage


class Library(Protocol):
    """Documents and passages that a tenant may read now. Implemented by the pipeline's catalog.

    Both raise `CatalogUnavailable` when the database cannot be reached.
    """

    async def document(self, tenant: str, document_id: str) -> Document | None:
        """The document as it is now, of the tenant itself or shared; None if there is none."""

    async def passage(self, tenant: str, passage_id: str) -> Passage | None:
        """A visible passage of the tenant itself or shared; None once its document has changed or gone."""
