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
    documents = [tuple(row) for row in rows]
    # thousands of documents take a tenth of a second: off the event loop
    found = await asyncio.to_thread(lambda: folds([Signed(*row[:4]) for row in documents]))
    changed = [
        {"of_document": document_id, "to_fold": found.get(document_id, "")}
        for document_id, *_, fold, by, version in documents
        # a new version's row says nothing yet, while its passages may have been in a fold before
        if found.get(document_id, "") != fold or (by == sync and version > 1)
    ]
    if changed:
        for table, document_id in ((DocumentRow, DocumentRow.id), (PassageRow, PassageRow.document_id)):
            await connection.execute(
                update(table)
                .where(table.tenant == tenant, document_id == bindparam("of_document"))
                .values(fold=bindparam("to_fold")),
                changed,
            )
