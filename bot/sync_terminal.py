"""What `promptai sync` and `promptai sources` print."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bot.terminal import Events, checked_events, err, out


async def show_sync(events: Events, *, as_json: bool) -> None:
    """A progress bar and a report for each source; or one JSON object a source. Exit status 1 if a document failed."""
    failed = False
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=as_json or not err.is_terminal) as progress:
        task = progress.add_task("Reading", total=None)
        async with aclosing(checked_events(events)) as checked:
            async for event in checked:
                if event["event"] == "progress":
                    progress.update(
                        task, description=escape(event["location"][-40:]), completed=event["done"], total=event["total"]
                    )
                elif event["event"] == "notice":
                    progress.console.print(escape(event["message"]))
                elif event["event"] == "failure":
                    failed = True
                    progress.console.print(f"{escape(event['source'])}: [red]failed[/]: {escape(event['message'])}")
                elif event["event"] == "report":
                    failed |= bool(event["failed"])
                    if as_json:
                        print(
                            json.dumps(
                                {key: value for key, value in event.items() if key != "event"}, ensure_ascii=False
                            )
                        )
                    else:
                        progress.console.print(_report(event))
    if failed:
        raise SystemExit(1)


async def show_sources(events: Events, *, as_json: bool) -> None:
    """A table of sources that fits 80 columns, errors below it; or JSON."""
    found: list[dict[str, Any]] = []
    async with aclosing(checked_events(events)) as checked:
        async for event in checked:
            if event["event"] == "sources":
                found = event["sources"]
    if as_json:
        print(json.dumps({"sources": found}, ensure_ascii=False, indent=2))
        return
    if not found:
        err.print("No sources yet. Declare them in knowledge.toml (docs/knowledge.md), or try: promptai sync docs/")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("source", overflow="fold")  # the only one that may have to break
    for name in ("documents", "passages"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("last synced (UTC)", "state"):
        table.add_column(name, no_wrap=True)
    for each in found:
        table.add_row(*map(escape, _cells(each)))
    out.print(table)
    for each in found:
        if each.get("last_error"):
            out.print(f"\n{each['name']} ({each['tenant']}): {each['last_error']}", markup=False)


def _cells(source: Mapping[str, Any]) -> tuple[str, ...]:
    """A row; whose and which kind of source it is stand below its name, its schedule below the time."""
    failed = f", {len(source['failed'])} failed" if source.get("failed") else ""
    synced = (source.get("last_synced") or "never")[:16].replace("T", " ")
    return (
        f"{source['name']}\n  {source['tenant']}, {source['kind']}",
        *(str(source.get(key, "")) for key in ("documents", "passages")),
        f"{synced}\n{source['schedule']}",
        f"{source['state']}{failed}",
    )


def _report(event: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{event[key]} {key}" for key in ("added", "changed", "renamed", "removed", "unchanged"))
    dry = " [yellow](dry run: nothing was changed)[/]" if event["dry"] else ""
    lines = [f"{escape(event['source'])}: {counts}; {event['passages']} passages, {event['seconds']:.1f} s.{dry}"]
    lines += [f"  [red]failed[/] {escape(f['location'])}: {escape(f['reason'])}" for f in event["failed"]]
    return "\n".join(lines)
