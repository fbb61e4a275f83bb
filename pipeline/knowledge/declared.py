"""Reads `knowledge.toml`: every source, strictly. An error names the entry and the key."""

from __future__ import annotations

import difflib
import importlib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import DeclarationError
from pipeline.knowledge.sources.directory import DirectoryEntry
from pipeline.knowledge.sources.entry import Entry
from pipeline.knowledge.sources.export import ExportEntry
from pipeline.knowledge.sources.jsonl import JsonlEntry
from pipeline.knowledge.sources.repository import GitEntry
from pipeline.knowledge.sources.website import WebsiteEntry

KINDS: Mapping[str, type[Entry]] = {
    "directory": DirectoryEntry,
    "git": GitEntry,
    "website": WebsiteEntry,
    "export": ExportEntry,
    "jsonl": JsonlEntry,
}
"""Others are named by where they are: `kind = "package.module:Class"`."""


def read_declarations(path: Path) -> tuple[Entry, ...]:
    """The sources in the file's order. Blocking. Raises `DeclarationError`."""
    try:
        declared = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise DeclarationError(f"{path}: cannot be read ({reason}).") from exc
    for key in declared.keys() - {"source"}:
        raise DeclarationError(f"{path}: unknown key {key!r}: each source is a table [[source]].")
    tables = declared.get("source", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise DeclarationError(f"{path}: each source is a table [[source]], with two brackets.")
    entries = tuple(_entry(path, number, table) for number, table in enumerate(tables, start=1))
    names: set[tuple[str, str]] = set()
    for entry in entries:
        if (entry.tenant, entry.name) in names:
            raise DeclarationError(
                f"{path}, source {entry.name!r}: name: {entry.tenant!r} has another one of that name."
            )
        names.add((entry.tenant, entry.name))
    return entries


def chosen(entries: Sequence[Entry], name: str) -> tuple[Entry, ...]:
    """The sources of that name: several tenants may have one."""
    return tuple(entry for entry in entries if entry.name == name)


def _entry(path: Path, number: int, table: Mapping[str, Any]) -> Entry:
    name = table.get("name")
    where = f"{path}, source {name!r}" if isinstance(name, str) else f"{path}, source number {number}"
    kind = _kind(where, table.get("kind"))
    try:
        return kind.model_validate(table)
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        raise DeclarationError(f"{where}: {_explain(error, kind)}") from exc


def _kind(where: str, name: object) -> type[Entry]:
    if not isinstance(name, str):
        raise DeclarationError(f"{where}: kind: one of {', '.join(KINDS)}, or your own as `package.module:Class`.")
    if name in KINDS:
        return KINDS[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        raise DeclarationError(f"{where}: kind: {name!r} is unknown{_nearest(name, KINDS)}")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as exc:
        raise DeclarationError(f"{where}: kind: {name!r} cannot be imported ({exc}).") from exc
    if not (isinstance(found, type) and issubclass(found, Entry)):
        raise DeclarationError(f"{where}: kind: {name!r} is no subclass of pipeline.knowledge.sources.Entry.")
    return found


def _explain(error: Any, kind: type[Entry]) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}{_nearest(key, kind.model_fields)}"
    if error["type"] == "missing":
        return f"{key}: is missing."
    return f"{key}: {error['msg'].removeprefix('Value error, ')}."


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {near[0]!r}?" if near else f". Known are: {', '.join(known)}."
