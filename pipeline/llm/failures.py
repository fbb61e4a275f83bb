"""From what a server or the network did to the error tree, and whether asking again may help."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import aiohttp
from yarl import URL

from pipeline.errors import ModelError, ModelOverloaded, ModelRejected, ModelUnavailable
from pipeline.llm.wire import Refusal


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is now, and how to speak of it."""

    url: str
    """Base URL without `/v1` and without a slash at the end."""
    api_key: str | None = field(default=None, repr=False)
    """Sent as a bearer token."""
    label: str = "The model server"
    """The subject of error messages."""
    hint: str = "check that it runs and that MODEL_URL is right"
    """What to do when it does not answer."""

    @classmethod
    def remote(cls, url: str, api_key: str | None) -> Endpoint:
        """A server that the operator named by MODEL_URL."""
        base = url.rstrip("/").removesuffix("/v1")
        return cls(base, api_key, label=f"The model server at {URL(base).with_user(None)}")


class Retry(Enum):
    """Whether a failed attempt is repeated."""

    NEVER = 0
    ONCE = 1
    """The connection was lost while it was used: it may have been a stale one, or the request may kill the server."""
    YES = 2
    """The server did not begin: until the retries are used up."""


class AttemptFailed(Exception):
    """One attempt failed; `error` is what is raised when it is not repeated."""

    def __init__(self, error: ModelError, retry: Retry = Retry.NEVER, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.retry = retry
        self.retry_after = retry_after
        """Seconds the server asked us to wait, where it did."""


def refused(endpoint: Endpoint, refusal: Refusal, retry_after: float | None = None) -> AttemptFailed:
    """The server answered with an error. 429, 502 and 503 pass; the others need somebody to act."""
    retry = Retry.YES if refusal.status in (429, 502, 503) else Retry.NEVER
    return AttemptFailed(_error_for(endpoint, refusal), retry, retry_after)


def _error_for(endpoint: Endpoint, refusal: Refusal) -> ModelError:
    label, status = endpoint.label, refusal.status
    said = f"{status}: {refusal.message}" if refusal.message else str(status)
    if status in (401, 403):
        return ModelUnavailable(f"{label} refused the key ({said}): set MODEL_API_KEY.")
    if status in (404, 405) or 300 <= status < 400:
        return ModelUnavailable(
            f"{label} has no chat at that address ({said}): check MODEL_URL, ANSWER_MODEL and DRAFT_MODEL."
        )
    if status == 429:
        return ModelOverloaded(f"{label} is overloaded ({said}): add replicas or let it take more requests at once.")
    if 400 <= status < 500 and status not in (408, 424):
        return ModelRejected(f"{label} rejected the request ({said}).")
    return ModelUnavailable(f"{label} failed ({said}): see its log.")


def lost(endpoint: Endpoint, exc: Exception) -> AttemptFailed:
    """The connection could not be made, or was lost while it was used; call it within `except` and raise `from` it."""
    label, hint = endpoint.label, endpoint.hint
    if isinstance(exc, TimeoutError):
        return AttemptFailed(ModelUnavailable(f"{label} cannot be reached (no answer in time): {hint}."))
    if isinstance(exc, aiohttp.ClientSSLError):
        return AttemptFailed(ModelUnavailable(f"{label} cannot be trusted ({exc}): check its certificate."))
    if isinstance(exc, aiohttp.ClientConnectorError):
        return AttemptFailed(
            ModelUnavailable(f"{label} cannot be reached ({exc.os_error.strerror or exc.os_error}): {hint}."), Retry.YES
        )
    if isinstance(exc, (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError)):
        return AttemptFailed(ModelUnavailable(f"{label} closed the connection: {hint}."), Retry.ONCE)
    return AttemptFailed(ModelUnavailable(f"{label} does not speak HTTP ({type(exc).__name__}): {hint}."))


def senseless(endpoint: Endpoint, what: object) -> AttemptFailed:
    """The server sent something that is no stream of chat completion chunks."""
    return AttemptFailed(ModelUnavailable(f"{endpoint.label} sent {what} instead of an answer: {endpoint.hint}."))
