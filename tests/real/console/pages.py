"""Opens pages of the console and fails on anything the browser complains about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

TIMEOUT = 15_000
"""Milliseconds that a step in the browser may take on a busy machine."""


@asynccontextmanager
async def open_page(chromium: Any, url: str, *, expect_errors: bool = False, **context: Any) -> AsyncIterator[Any]:
    """A page in a fresh browser profile. `expect_errors` allows the console lines of failed requests."""
    profile = await chromium.new_context(**context)
    await profile.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
    profile.set_default_timeout(TIMEOUT)
    page = await profile.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
    await page.goto(url)
    await page.wait_for_selector("#question")
    yield page
    await profile.close()
    if expect_errors:
        complaints = [line for line in complaints if "Failed to load resource" not in line]
    assert complaints == []


async def ask(page: Any, text: str) -> None:
    await page.fill("#question", text)
    await page.press("#question", "Enter")
