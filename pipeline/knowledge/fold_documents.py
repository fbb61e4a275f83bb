"""Notes in the catalog which documents are near-duplicates of each other."""

from __future__ import annotations

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from pipeline.knowledge.folding import Signed, folds
from pipeline.knowledge.tables import DocumentRow, PassageRow


async def fold_documents(connection: AsyncConnection, tenant: str, sync: str) -> None:
    """Fold the tenant's visible documents, of all sources; `sync` is the run that has just made its own visible.

    Only the documents whose fold is another one now are written.
    """
    of_tenant = (DocumentRow.tenant == tenant, DocumentRow.visible)
    columns = (DocumentRow.id, DocumentRow.source, DocumentRow.key, DocumentRow.signature)
    rows = list(
        await connection.execute(
            select(*columns, DocumentRow.fold, DocumentRow.sync, DocumentRow.version).where(*of_tenant)
        )
    )
    found = folds([Signed(row.id, row.source, row.key, row.signature) for row in rows])
    changed = [
        {"of_document": row.id, "to_fold": found.get(row.id, "")}
        for row in rows
        # a new version's row says nothing yet, while its passages may have been in a fold before
        if found.get(row.id, "") != row.fold or (row.sync == sync and row.version > 1)
    ]
    if changed:
        for table, document_id in ((DocumentRow, DocumentRow.id), (PassageRow, PassageRow.document_id)):
            await connection.execute(
                update(table)
                .where(table.tenant == tenant, document_id == bindparam("of_document"))
                .values(fold=bindparam("to_fold")),
                changed,
            )
