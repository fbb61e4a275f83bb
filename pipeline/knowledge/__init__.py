"""Documents: from sources to passages in the catalog and both indexes.

Its names are imported when first used: a converting process (`workers`) needs neither SQL nor an embedder.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.knowledge.catalog import Catalog
    from pipeline.knowledge.sources import DirectorySource
    from pipeline.knowledge.sync import Syncer, SyncReport
    from pipeline.knowledge.tables import knowledge_metadata

__all__ = ["Catalog", "DirectorySource", "SyncReport", "Syncer", "knowledge_metadata"]

_HOMES = {
    "Catalog": "catalog",
    "DirectorySource": "sources",
    "SyncReport": "sync",
    "Syncer": "sync",
    "knowledge_metadata": "tables",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
