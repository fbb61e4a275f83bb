"""Documents: from sources to passages in the catalog and both indexes."""

from pipeline.knowledge.catalog import Catalog
from pipeline.knowledge.sources import DirectorySource
from pipeline.knowledge.sync import Syncer, SyncReport
from pipeline.knowledge.tables import knowledge_metadata

__all__ = ["Catalog", "DirectorySource", "SyncReport", "Syncer", "knowledge_metadata"]
