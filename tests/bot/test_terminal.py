"""What a person sees of an answer, of sources and of a removal."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from rich.console import Console

from bot import sync_terminal, terminal
from bot.sync_terminal import show_sources
from bot.terminal import show_answer, show_removed

CITED = "The window is 5 minutes [1]. " + "It can be changed for each alert, by everybody who owns it. " * 3
PLAIN = CITED.replace(" [1]", "")
ANSWER = {
    "text": CITED.strip(), "mode": "rag", "citations": [{"number": 1, "title": "Alerts", "location": "alerts.md"}],
    "timings_ms": {"draft": None, "retrieve": 20, "first_token": 30, "total": 40},
}  # fmt: skip


async def events(*found: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
    for event in found:
        yield event


def answered() -> AsyncGenerator[dict[str, Any], None]:
    pieces = [{"event": "text", "text": word} for word in re.split(r"(?<= )", PLAIN)]
    return events({"event": "stage", "stage": "answering"}, *pieces, {"event": "answer", "answer": ANSWER})


def on_screen(written: str, width: int = 80) -> list[str]:
    """The lines that a terminal shows after all control codes."""
    lines, row, column = [""], 0, 0
    for code, final, text in re.findall(r"\x1b\[([\d;?]*)([A-Za-z])|([^\x1b])", written):
        if final == "A":
            row -= int(code or 1)
        elif final == "K":
            lines[row] = ""
        elif text == "\n" or (text and text != "\r" and column == width):
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        if text == "\r":
            column = 0
        elif text and text != "\n":
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines if line.strip()]


async def test_an_answer_whose_citations_are_supplied_afterwards_stands_on_the_screen_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(terminal, "screen", Console(file=written, force_terminal=True, width=80, height=24))
    monkeypatch.setattr(terminal, "out", Console(file=written, soft_wrap=True, highlight=False, width=80))
    monkeypatch.setattr(terminal, "err", Console(file=io.StringIO()))
    await show_answer(answered(), as_json=False)
    *text, source = on_screen(written.getvalue())
    assert "".join(text).replace(" ", "") == CITED.replace(" ", "")
    assert source == "  [1] Alerts — alerts.md"
    assert "The window is 5 minutes. It" in written.getvalue()  # it was shown while it grew


async def test_where_no_terminal_shows_it_only_the_finished_answer_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await show_answer(answered(), as_json=False)
    assert capsys.readouterr().out == f"{CITED.strip()}\n  [1] Alerts — alerts.md\n"


async def test_for_programs_an_answer_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    await show_answer(answered(), as_json=True)
    assert json.loads(capsys.readouterr().out) == ANSWER


async def test_sources_fit_80_columns_with_every_word_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sync_terminal, "out", Console(file=written, soft_wrap=True, highlight=False, width=80))
    usual = {"kind": "directory", "documents": 1240, "passages": 203910, "failed": [], "schedule": "", "last_error": ""}
    synced = {"name": "product-handbook", "tenant": "umbrella", "state": "done", "last_synced": "2026-11-25T08:59:12"}
    declared = {"name": "help", "tenant": "shared", "kind": "website", "schedule": "*/30 6-20 * * 1-5"}
    failing = {"name": "old", "tenant": "acme", "state": "failed", "failed": [{}, {}], "last_error": "It is gone."}
    sources = [usual | synced, declared | {"state": "never synced"}, usual | failing]
    await show_sources(events({"event": "sources", "sources": sources}), as_json=False)
    assert [line.rstrip() for line in written.getvalue().splitlines()] == [
        "source                 documents  passages  last synced (UTC)  state",
        "product-handbook            1240    203910  2026-11-25 08:59   done",
        "  umbrella, directory",
        "help                                        never              never synced",
        "  shared, website                           */30 6-20 * * 1-5",
        "old                         1240    203910  never              failed, 2 failed",
        "  acme, directory",
        "",
        "old (acme): It is gone.",
    ]


async def test_a_removal_says_which_tokens_went_and_which_stay(capsys: pytest.CaptureFixture[str]) -> None:
    slack = {"removed": [{"workspace": "T1", "name": "Acme"}], "kept": [{"workspace": "E1", "name": "Org"}]}
    removed = {"event": "removed", "tenant": "acme", "lost": {"questions": 2, "slack_installations": 1}, "slack": slack}
    await show_removed(events(removed), as_json=False)
    first, gone, kept = capsys.readouterr().out.splitlines()
    assert first == "Removed acme: 2 questions, 1 slack_installations. Looked again: nothing is left."
    assert gone.startswith("Slack, Acme (T1): its token is removed")
    assert kept.startswith("Slack, Org (E1): its token stays")
