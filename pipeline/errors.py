"""Everything that can go wrong in the pipeline, in one tree.

    PipelineError
    ├── ModelError                 the model server
    │   ├── ModelUnavailable       cannot be reached, refused (401, 503) or timed out before the first token
    │   ├── ModelOverloaded        answered 429 until the retries were used up
    │   ├── ModelRejected          answered 4xx: the request itself is wrong (too long, unknown field)
    │   └── ModelStreamBroken      stalled, broke off or sent an error after the first token
    ├── RetrievalError             the vector or keyword index
    │   ├── IndexUnavailable       cannot be opened or reached
    │   └── TenantRefused          a tenant's isolation is in doubt: its questions wait until it is mended
    ├── KnowledgeError             documents
    │   ├── SourceNotFound         the source's location does not exist
    │   ├── DocumentUnreadable     one document cannot be converted; the others go on
    │   ├── NotADocument           a file that nobody reads (a package.json): left out without a word
    │   ├── DeclarationError       knowledge.toml is wrong: the message names the entry and the key
    │   └── SyncBusy               another process is syncing this tenant's documents
    ├── EvaluationError            questions, drafts or a run that cannot be evaluated
    ├── TrainingError              rows, recipes, weights or adapters that cannot be trained or served
    ├── CatalogUnavailable         the database that says which passages are visible
    └── DataDirectoryBusy          another process owns PROMPTAI_DATA_DIR

Foreign exceptions are translated where they enter (`raise … from exc`). Every message says what to do.
"""

from __future__ import annotations


class PipelineError(Exception):
    """Base of this package's errors. `str(error)` is written for the operator."""


class ModelError(PipelineError):
    """The model server failed."""


class ModelUnavailable(ModelError):
    """The model server cannot be reached, refused or timed out before the first token."""


class ModelOverloaded(ModelError):
    """The model server answered 429 until the retries were used up."""


class ModelRejected(ModelError):
    """The model server says that the request itself is wrong."""


class ModelStreamBroken(ModelError):
    """The stream stalled, broke off or carried an error after it had begun."""


class RetrievalError(PipelineError):
    """The vector or keyword index failed."""


class IndexUnavailable(RetrievalError):
    """The index cannot be opened or reached."""


class TenantRefused(RetrievalError):
    """A check found that the tenant can reach another one's documents: it is refused until a check finds otherwise."""


class KnowledgeError(PipelineError):
    """Documents could not be read."""


class SourceNotFound(KnowledgeError):
    """The source's location does not exist or cannot be opened."""


class DocumentUnreadable(KnowledgeError):
    """One document cannot be converted; the others go on."""


class EvaluationError(PipelineError):
    """Questions, replayed drafts or an earlier run do not fit; nothing was measured."""


class TrainingError(PipelineError):
    """Rows, a recipe, weights or an adapter do not fit; nothing was changed."""


class NotADocument(KnowledgeError):
    """A file that nobody reads; it is left out without a word."""


class DeclarationError(KnowledgeError):
    """knowledge.toml is wrong: the message names the entry and the key."""


class SyncBusy(KnowledgeError):
    """Another process is syncing this tenant's documents."""


class CatalogUnavailable(PipelineError):
    """The database that says which passages are visible cannot be reached."""


class DataDirectoryBusy(PipelineError):
    """Another process owns PROMPTAI_DATA_DIR."""
