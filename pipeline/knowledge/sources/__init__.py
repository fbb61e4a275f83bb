"""Where documents come from: one module a kind of source."""

from pipeline.knowledge.sources.base import Choice, Source, SourceFile
from pipeline.knowledge.sources.directory import DirectorySource

__all__ = ["Choice", "DirectorySource", "Source", "SourceFile"]
