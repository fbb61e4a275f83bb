"""What `promptai embedder` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bot.terminal import Events, checked_events, err, out
from pipeline.knowledge.embedders import KnownEmbedder

_DOING = {"building": "Building the index …", "asking": "Asking both …"}


async def show_promotion(events: Events, *, as_json: bool) -> None:
    """Progress, the figures and the switch; or the last two as JSON, one a line."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=as_json or not err.is_terminal) as progress:
        task = progress.add_task("Starting …", total=None)
        async with aclosing(checked_events(events)) as found:
            async for event in found:
                if event["event"] == "progress":
                    said = _DOING[event["what"]]
                    progress.update(task, description=said, completed=event["done"], total=event["total"])
                elif as_json:
                    print(json.dumps(event))
                elif event["event"] == "verdict":
                    for line in figure_lines(event["arms"]):
                        progress.console.print(line, markup=False)
                elif event["event"] == "switched":
                    progress.console.print(f"In service: {event['to']}, before: {event['from']}.", markup=False)
                    if event["resplit"]:
                        progress.console.print(
                            "It measures texts differently: run `promptai sync`, which cuts them anew."
                        )


def show_embedders(found: Sequence[KnownEmbedder], default: str, *, as_json: bool) -> None:
    """One embedder after the other, the last changed first."""
    if as_json:
        print(json.dumps([{**vars_of(each), "history": list(each.history)} for each in found]))
        return
    if not any(each.state == "serving" for each in found):
        out.print(f"EMBEDDING_MODEL serves: {default}. Nothing was promoted.", markup=False)
    for each in found:
        out.print(f"{each.state:9} {each.fingerprint}  {each.model}", markup=False)
        for event in each.history:
            out.print(f"    {event['at'][:16].replace('T', ' ')}  {event['what']}", markup=False)
            for line in figure_lines(event.get("arms", {})):
                out.print(f"        {line}", markup=False)


def figure_lines(arms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """NDCG@10 of each arm, before and after."""
    return [
        f"{arm}: nDCG@10 {a['before']:.3f} -> {a['after']:.3f} ({a['difference']:+.3f}, 95% {a['low']:+.3f} to"
        f" {a['high']:+.3f}, {a['questions']} questions)"
        for arm, a in arms.items()
    ]


def vars_of(known: KnownEmbedder) -> dict[str, str]:
    """For JSON."""
    return {
        "fingerprint": known.fingerprint, "model": known.model, "state": known.state,
        "changed_at": known.changed_at.isoformat(),
    }  # fmt: skip
