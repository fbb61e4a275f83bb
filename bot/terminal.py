"""What the commands print: text for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, nullcontext
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bot.errors import BotError

Events = AsyncGenerator[dict[str, Any], None]

STAGES = {
    "drafting": "Drafting from memory …",
    "retrieving": "Looking into the documentation …",
    "answering": "Answering …",
}

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
screen = Console(highlight=False)
"""For what is drawn over again: its lines have to be counted, so it breaks them itself."""


async def show_answer(events: Events, *, as_json: bool) -> None:
    """The answer's text, as it grows where a terminal shows it, and its sources; or one JSON object."""
    answer: dict[str, Any] = {}
    # What was shown while it grew is replaced by the finished text: citations may have been supplied to it, and a model
    # that gave up half-way ends in an abstention. Without a terminal there is nothing to replace it on.
    growing = None
    if screen.is_terminal and not as_json:
        growing = Live(console=screen, auto_refresh=False, transient=True, redirect_stderr=err.is_terminal)
    with growing or nullcontext():
        async with aclosing(checked_events(events)) as checked:
            streamed = ""
            async for event in checked:
                if event["event"] == "answer":
                    answer = event["answer"]
                elif event["event"] == "stage" and not as_json:
                    err.print(f"[dim]{STAGES[event['stage']]}[/]")
                elif event["event"] == "text" and growing is not None:
                    streamed += event["text"]
                    growing.update(Text(streamed.strip()), refresh=True)
    if not answer:
        raise BotError("The process that owns the data folder ended before the answer was whole. Try again.")
    if as_json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    out.print(answer["text"], markup=False)
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


async def checked_events(events: Events) -> Events:
    """The events, with the error event raised; closed in order then, not whenever the garbage collector comes."""
    async with aclosing(events):
        async for event in events:
            if event["event"] == "error":
                raise BotError(event["message"])
            yield event
