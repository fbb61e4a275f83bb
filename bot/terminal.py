"""What the commands print: text for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bot.errors import BotError

Events = AsyncGenerator[dict[str, Any], None]

STAGES = {
    "drafting": "Drafting from memory …",
    "retrieving": "Looking into the documentation …",
    "answering": "Answering …",
}

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


async def show_answer(events: Events, *, as_json: bool) -> None:
    """Stream the answer's text, then its sources; or print one JSON object."""
    answer: dict[str, Any] = {}
    streamed = ""
    async with aclosing(checked_events(events)) as checked:
        async for event in checked:
            if event["event"] == "answer":
                answer = event["answer"]
            elif as_json:
                continue
            elif event["event"] == "stage":
                err.print(f"[dim]{STAGES[event['stage']]}[/]")
            elif event["event"] == "text":
                streamed += event["text"]
                sys.stdout.write(event["text"])
                sys.stdout.flush()
    if not answer:
        raise BotError("The process that owns the data folder ended before the answer was whole. Try again.")
    if as_json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    if streamed.strip() != answer["text"]:
        # Citations were supplied, or the model gave up half-way: the finished text counts.
        out.print(("\n\n" if streamed else "") + escape(answer["text"]), end="")
    out.print()
    for citation in answer["citations"]:
        out.print(f"  [{citation['number']}] {citation['title']} — {citation['location']}", markup=False)
    err.print(f"[dim]{_took(answer)}[/]")


def _took(answer: Mapping[str, Any]) -> str:
    named = {"draft": "draft", "retrieve": "retrieval", "first_token": "first text after", "total": "in all"}
    times = [
        f"{text} {answer['timings_ms'][key] / 1000:.1f} s" for key, text in named.items() if answer["timings_ms"][key]
    ]
    return f"{answer['mode']}: {', '.join(times)}"


async def show_hits(events: Events, *, as_json: bool) -> None:
    """A table of passages with the lists that found each; or JSON."""
    hits: list[dict[str, Any]] = []
    async with aclosing(checked_events(events)) as checked:
        async for event in checked:
            if event["event"] == "hits":
                hits = event["hits"]
    if as_json:
        print(json.dumps({"hits": hits}, ensure_ascii=False, indent=2))
        return
    if not hits:
        err.print("Nothing found. Has anything been synced? Try: promptai sync docs/")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("#", "score", "passage", "found by"):
        table.add_column(name, overflow="fold")
    for rank, hit in enumerate(hits, start=1):
        found = "\n".join(map(_reason, hit["found_by"]))
        first_line = " ".join(hit["text"].split())[:160]
        passage = f"[bold]{escape(' > '.join(hit['heading_path']))}[/]\n{escape(hit['location'])}\n[dim]{escape(first_line)}[/]\n"
        table.add_row(str(rank), f"{hit['score']:.4f}", passage, found)
    out.print(table)


def _reason(by: Mapping[str, Any]) -> str:
    """Which list found a passage, at which rank, with what weight and score; a reranker has no weight."""
    weight = f" x{by['weight']:g}" if by["weight"] else ""
    return f"{by['query']} #{by['rank']}{weight} ({by['score']:.2f})"


async def show_isolation(events: Events, *, as_json: bool) -> None:
    """Who can find what is not theirs, and where nothing was proven. Exit status 1 if anybody can."""
    async with aclosing(checked_events(events)) as checked:
        async for event in checked:
            if as_json:
                print(json.dumps({key: event[key] for key in ("tenants", "leaks", "blind")}))
            else:
                for leak in event["leaks"]:
                    out.print(f"[red]LEAK[/] {leak['reader']} can find what is {leak['owner']}'s ({leak['place']}).")
                for blind in event["blind"]:
                    out.print(f"{blind['tenant']}: its own canary is not found ({blind['place']}); nothing is proven.")
                out.print(f"{len(event['tenants'])} tenants, {len(event['leaks'])} leaks.")
            if event["leaks"] or event["blind"]:
                raise SystemExit(1)


async def show_removed(events: Events, *, as_json: bool) -> None:
    """What a tenant's removal removed."""
    async with aclosing(checked_events(events)) as checked:
        async for event in checked:
            if as_json:
                print(json.dumps({key: event[key] for key in ("tenant", "lost", "slack")}))
            else:
                lost = ", ".join(f"{count} {name}" for name, count in event["lost"].items()) or "nothing"
                out.print(f"Removed {event['tenant']}: {lost}. Looked again: nothing is left.")
                for each in event["slack"]["removed"]:
                    text = "its token is removed; let its people uninstall the app, which makes the token void"
                    out.print(f"Slack, {each['name']} ({each['workspace']}): {text}.", markup=False)
                for each in event["slack"]["kept"]:
                    text = "its token stays: others are linked there too, or may be. Uninstalling the app removes it"
                    out.print(f"Slack, {each['name']} ({each['workspace']}): {text}.", markup=False)


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
    """A table of sources, or JSON."""
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
    for name in ("source", "whose", "kind", "documents", "passages", "last synced (UTC)", "schedule", "state"):
        table.add_column(name, justify="right" if name in {"documents", "passages"} else "left", overflow="fold")
    for each in found:
        failed = f", {len(each['failed'])} documents failed" if each.get("failed") else ""
        state = f"{each['state']}{': ' + each['last_error'] if each.get('last_error') else ''}{failed}"
        counts = (str(each.get(key, "")) for key in ("documents", "passages"))
        synced = (each.get("last_synced") or "")[:16].replace("T", " ")
        cells = (each["name"], each["tenant"], each["kind"], *counts, synced, each["schedule"], state)
        table.add_row(*map(escape, cells))
    out.print(table)


def _report(event: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{event[key]} {key}" for key in ("added", "changed", "renamed", "removed", "unchanged"))
    dry = " [yellow](dry run: nothing was changed)[/]" if event["dry"] else ""
    lines = [f"{escape(event['source'])}: {counts}; {event['passages']} passages, {event['seconds']:.1f} s.{dry}"]
    lines += [f"  [red]failed[/] {escape(f['location'])}: {escape(f['reason'])}" for f in event["failed"]]
    return "\n".join(lines)


async def checked_events(events: Events) -> Events:
    """The events, with the error event raised; closed in order then, not whenever the garbage collector comes."""
    async with aclosing(events):
        async for event in events:
            if event["event"] == "error":
                raise BotError(event["message"])
            yield event
