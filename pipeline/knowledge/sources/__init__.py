"""Where documents come from: one module a kind of source."""

from pipeline.knowledge.sources.base import Choice, Source, SourceFile
from pipeline.knowledge.sources.directory import DirectorySource
from pipeline.knowledge.sources.entry import Entry, Kit

__all__ = ["Choice", "DirectorySource", "Entry", "Kit", "Source", "SourceFile"]
