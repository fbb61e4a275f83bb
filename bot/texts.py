"""What the bot says when it does not answer: help, notices and apologies."""

from __future__ import annotations

from pipeline.errors import (
    CatalogUnavailable,
    ModelOverloaded,
    ModelRejected,
    ModelStreamBroken,
    ModelUnavailable,
    RetrievalError,
    TenantRefused,
)

HELP = (
    "Ask me a question about the documentation, for example how to set something up or what a term means. "
    "I answer in this thread and name my sources; a thumbs up or down tells us how I did."
)

NOBODYS = "I am not set up for this workspace or channel yet. Please ask the people who run me to connect it."

FILES_ONLY = "I cannot read attached files yet. Please put your question into words."

FILES_NEED_WORDS = (
    "I can read text, Markdown and PDF files, but not alone. Please send it again with a question in words."
)

FILES_NOTICE = "I cannot read attached files yet; I answered the text only."

CUT_NOTICE = "Your message was very long; I read the first {limit:,} characters."

SORRY = "Sorry, something went wrong on our side. Please ask again in a moment."

TOO_LATE = "Sorry, this took too long. Please ask again in a moment."

_APOLOGIES: tuple[tuple[type[Exception], str], ...] = (
    (ModelOverloaded, "Sorry, too many questions are waiting right now. Please ask again in a minute."),
    (ModelRejected, "Sorry, I could not work with this question. Please make it shorter and ask again."),
    (ModelStreamBroken, "Sorry, my answer broke off half-way. Please ask again."),
    (
        ModelUnavailable,
        "Sorry, I cannot think right now: the model does not answer. Please ask again in a few minutes.",
    ),
    (
        TenantRefused,
        "Sorry, I must not look into the documentation for you right now: a safety check failed."
        " Whoever runs me has been told.",
    ),
    (RetrievalError, "Sorry, I cannot look into the documentation right now. Please ask again in a few minutes."),
    (CatalogUnavailable, "Sorry, I cannot look into the documentation right now. Please ask again in a few minutes."),
    (TimeoutError, TOO_LATE),
)


def apology_for(error: Exception) -> str:
    """One plain sentence about what failed and what to do."""
    return next((text for kind, text in _APOLOGIES if isinstance(error, kind)), SORRY)
