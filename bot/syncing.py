"""Bringing declared sources, folders and files up to date: by command, and by schedule while the bot serves."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bot.app import Core
from pipeline.errors import DeclarationError, KnowledgeError
from pipeline.knowledge.catalog import SourceStatus
from pipeline.knowledge.declared import chosen, read_declarations
from pipeline.knowledge.pages import SqlPages
from pipeline.knowledge.sources import DirectorySource, Entry, Kit, Source
from pipeline.knowledge.sync import SyncReport
from pipeline.types import SHARED

Event = dict[str, Any]

SOURCES_FOLDER = "sources"
"""In the data folder: copies that sources keep, in a folder for each tenant."""

DEFAULT_FILE = Path("knowledge.toml")


@dataclass(frozen=True, slots=True)
class SyncOrder:
    """A source and whose documents it holds."""

    source: Source
    tenant: str
    language: str = ""
    release: str = ""


async def declared(core: Core) -> tuple[Entry, ...]:
    """The sources of PROMPTAI_KNOWLEDGE, or of `knowledge.toml` where there is one. Raises `DeclarationError`."""

    def read() -> tuple[Entry, ...]:
        path = core.settings.knowledge
        return () if path is None and not DEFAULT_FILE.exists() else read_declarations(path or DEFAULT_FILE)

    return await asyncio.to_thread(read)


def order_of(core: Core, entry: Entry) -> SyncOrder:
    """What an entry declares, ready to be synced."""
    kit = Kit(
        folder=(core.settings.knowledge or DEFAULT_FILE).absolute().parent,
        cache=core.settings.data_dir / SOURCES_FOLDER,
        pages=SqlPages(core.engine, entry.tenant, entry.name),
    )
    return SyncOrder(entry.open(kit), entry.tenant, entry.language, entry.version)


async def run_order(core: Core, order: SyncOrder, **options: Any) -> SyncReport:
    """Sync one source; `options` as `Syncer.sync` takes them."""
    return await core.syncer.sync(
        order.source, tenant=order.tenant, language=order.language, release=order.release, **options
    )


async def sync(core: Core, params: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
    """`sources` (each as typed, and as an absolute path; none: all that are declared), `tenant`, `name`, `base_url`
    (or None), `allow_empty`, `dry`: progress, then a report or a failure for each; a notice for undeclared tenants."""
    orders = await _orders(core, params)
    for order in orders:
        try:
            async with aclosing(_one(core, order, params)) as events:
                async for event in events:
                    yield event
        except KnowledgeError as error:
            if len(orders) == 1:
                raise
            yield {"event": "failure", **_named(order), "message": str(error)}
    known = {SHARED, *await core.tenants.names()}
    for tenant in sorted({order.tenant for order in orders} - known):
        message = f"{tenant} is no declared tenant, so no workspace can ask: promptai tenants add {tenant}"
        yield {"event": "notice", "message": message}


async def sources(core: Core, params: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
    """`tenant` (or None: shared and PROMPTAI_TENANT): what is declared or was ever synced."""
    tenants = [params["tenant"]] if params.get("tenant") else [SHARED, core.bot.tenant]
    entries = {(entry.tenant, entry.name): entry for entry in await declared(core)}
    if not params.get("tenant"):
        tenants = list(dict.fromkeys([*tenants, *(tenant for tenant, _ in entries)]))
    found = [status_json(status) for tenant in tenants for status in await core.catalog.sources(tenant)]
    synced = {(each["tenant"], each["name"]) for each in found}
    for key, entry in entries.items():
        if key not in synced and entry.tenant in tenants:
            found.append({"name": entry.name, "tenant": entry.tenant, "kind": entry.kind, "state": "never synced"})
    for each in found:
        known = entries.get((each["tenant"], each["name"]))
        each["schedule"] = known.schedule if known else ""
    yield {"event": "sources", "sources": found}


def status_json(status: SourceStatus) -> Event:
    """A source's status as `--json` prints it."""
    times = {"started_at": status.started_at.isoformat()}
    times["last_synced"] = status.last_synced.isoformat() if status.last_synced else ""
    failed = [{"location": where, "reason": reason} for where, reason in status.failed]
    return asdict(status) | times | {"failed": failed}


def source_name(path: Path) -> str:
    """A source's name from its path: two folders called `docs` must not replace each other's documents."""
    return f"{path.name or 'files'}-{hashlib.sha256(str(path).encode()).hexdigest()[:6]}"


async def _orders(core: Core, params: Mapping[str, Any]) -> Sequence[SyncOrder]:
    entries = await declared(core)
    if not params["sources"]:
        if not entries:
            raise DeclarationError(
                "Nothing is declared: name a folder (promptai sync docs/), or declare sources in knowledge.toml"
                " (docs/knowledge.md shows how)."
            )
        return [order_of(core, entry) for entry in entries]
    orders: list[SyncOrder] = []
    for typed, path in params["sources"]:
        if named := chosen(entries, typed):
            orders += [order_of(core, entry) for entry in named]
            continue
        if not await asyncio.to_thread(Path(path).exists):
            raise DeclarationError(
                f"{typed} is neither a source in {core.settings.knowledge or DEFAULT_FILE} nor a path that exists."
                " Check the spelling; nothing was changed."
            )
        name = params.get("name") or source_name(Path(path))
        source = DirectorySource(Path(path), name=name, base_url=params.get("base_url"))
        orders.append(SyncOrder(source, params["tenant"]))
    return orders


async def _one(core: Core, order: SyncOrder, params: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
    queue: asyncio.Queue[Event | None] = asyncio.Queue()

    def progress(done: int, total: int, where: str) -> None:
        queue.put_nowait({"event": "progress", "done": done, "total": total, "location": where})

    task = asyncio.create_task(
        run_order(core, order, progress=progress, allow_empty=params["allow_empty"], dry=params.get("dry", False))
    )
    task.add_done_callback(partial(_end, queue))
    try:
        while (event := await queue.get()) is not None:
            yield event
    finally:
        if not task.done():
            task.cancel()
    report = await task
    yield {
        "event": "report",
        **_named(order),
        "dry": params.get("dry", False),
        **{name: getattr(report, name) for name in ("added", "changed", "renamed", "removed", "unchanged")},
        "failed": [{"location": where, "reason": reason} for where, reason in report.failed],
        "passages": report.passages,
        "seconds": round(report.seconds, 3),
    }


def _named(order: SyncOrder) -> Event:
    return {"source": order.source.name, "tenant": order.tenant}


def _end(queue: asyncio.Queue[Event | None], _task: object) -> None:
    queue.put_nowait(None)
