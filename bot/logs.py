"""Logs: one line an event, JSON unless a person is watching, with every secret blanked out."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

BLANK = "[secret]"

_TOKENS = re.compile(
    r"xox[abeoprs]-[\w-]+|xapp-[\w-]+|(?i:bearer)\s+[\w.~+/-]{8,}=*|://[^/\s:@]+:[^/\s@]+@|eyJ[\w-]{10,}\.[\w-]+\.[\w-]*"
)
"""Slack tokens, bearer tokens, passwords in URLs and JSON web tokens, wherever they come from."""

QUIET = (
    "alembic",
    "sentence_transformers",
    "aiohttp.access",
    "slack_bolt",
    "slack_sdk",
    "botbuilder",
    "msrest",
    "msal",
    "chromadb",
    "httpx",
    "dbos",
    "urllib3",
    "gguf",
)
"""Libraries that tell of every request: shown from WARNING on unless the level is DEBUG."""


class Redact:
    """Blanks out known secrets and everything that looks like a token, in every value of a log line."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(sorted((s for s in secrets if len(s) >= 6), key=len, reverse=True))

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {key: self.clean(value) if isinstance(value, str) else value for key, value in event.items()}

    def clean(self, text: str) -> str:
        """`text` without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, BLANK)
        return _TOKENS.sub(BLANK, text)


def configure_logs(level: str, secrets: Iterable[str] = ()) -> None:
    """Send structlog's and the standard library's records through one chain to stderr."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
        _as_text,
        structlog.processors.format_exc_info,
        Redact(secrets),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), *shared],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(
            level if level == "DEBUG" else max(logging.WARNING, logging.getLevelName(level))
        )


def _as_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Exceptions and other objects become text here, so that `Redact` sees what would be printed."""
    plain = (str, int, float, type(None))
    return {
        key: value if key in ("exc_info", "_record", "_from_structlog") or isinstance(value, plain) else str(value)
        for key, value in event.items()
    }
