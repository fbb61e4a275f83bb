"""Reads JSON that others wrote: every getter gives the expected type or an empty value, never an exception."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


def string(value: Any) -> str:
    """The value if it is a string, else ""; halves of surrogate pairs, which no database takes, are replaced."""
    return _LONE_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value) if isinstance(value, str) else ""


def member(payload: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """The object at that path, or an empty one."""
    value: Any = payload
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def members(payload: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    """The objects of the list at that key."""
    value = payload.get(key)
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def moment(value: Any, otherwise: datetime) -> datetime:
    """An ISO 8601 timestamp as aware UTC time."""
    try:
        parsed = datetime.fromisoformat(string(value))
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return otherwise
