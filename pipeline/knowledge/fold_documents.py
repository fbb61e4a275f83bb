"""Notes in the catalog which documents are near-duplicates of each other."""

from __future__ import annotations

import asyncio

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.knowledge.folding import Signed, folds
from pipeline.knowledge.tables import DocumentRow, PassageRow


async def fold_documents(connection: AsyncConnection, tenant: str, sync: str) -> None:
    """Fold the tenant's visible documents, of all sources; `sync` is the run that has just made its own visible.

    Only the documents whose fold is another one now are written.
    """
    columns = (DocumentRow.id, DocumentRow.source, DocumentRow.key, DocumentRow.signature)
    found_now = (DocumentRow.fold, DocumentRow.sync, DocumentRow.version)
    rows = await connection.execute(
        select(*columns, *found_now).where(DocumentRow.tenant == tenant, DocumentRow.visible)
    )
    signed: list[Signed] = []
    before: list[tuple[str, bool]] = []
    for document_id, source, key, signature, fold, by, version in rows:
        signed.append(Signed(document_id, source, key, signature))
        # a new version's row says nothing yet, while its passages may have been in a fold before
        before.append((fold, by == sync and version > 1))
    found = await asyncio.to_thread(folds, signed)  # a tenth of a second for thousands: off the event loop
    changed = [
        {"of_document": document.id, "to_fold": found.get(document.id, "")}
        for document, (fold, new) in zip(signed, before, strict=True)
        if new or found.get(document.id, "") != fold
    ]
    if changed:
        for table, column in ((DocumentRow, DocumentRow.id), (PassageRow, PassageRow.document_id)):
            await connection.execute(
                update(table)
                .where(table.tenant == tenant, column == bindparam("of_document"))
                .values(fold=bindparam("to_fold")),
                changed,
            )
