"""A person's side of it: the Playground's own page in a headless Chromium, with a screenshot when one is wanted."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import Any

import pytest

from tests.fakes.model_server import ModelServerFake
from tests.real.teams.npm import NpmMissing
from tests.real.teams.playground import install, running_playground
from tests.real.teams.product import Model, running_product

pytestmark = pytest.mark.real

ANSWER = [
    "The rebuffering ratio is stalled time divided by watched time [1]. ",
    "An alert opens above **2 percent** [1], looking at a window of:\n\n",
    "- **5 minutes** as a rule [2]\n",
    "- **1 minute** during live events [2]\n",
]
QUESTION = "How is the rebuffering ratio computed?"
SCREENSHOT = "TEAMS_SCREENSHOT"
"""Names a file: then the page is kept as a picture (docs/teams.png was made so)."""


async def test_a_person_asks_on_the_page_and_says_that_the_answer_helped(tmp_path: Any) -> None:
    """Writes, sees the stream become the answer with its source, and clicks the thumb with a few words."""
    playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("Chromium is not installed (Debian: apt install chromium)")
    try:
        await asyncio.to_thread(install)
    except NpmMissing as missing:
        pytest.skip(str(missing))
    model = Model(ANSWER)
    async with (
        ModelServerFake(model) as server,
        running_product(tmp_path, server.url) as product,
        running_playground(f"{product.url}/api/messages", tmp_path) as playground,
        playwright.async_playwright() as running,
    ):
        browser = await running.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page(viewport={"width": 1180, "height": 720})
        await page.goto(playground.url)  # opening the page installs the bot
        await page.wait_for_selector(f"button:has-text('{QUESTION}')")
        await page.click("[title='Hide log panel']")
        await page.click("[role=textbox]")
        await page.keyboard.type(QUESTION)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("text=AI generated", timeout=60_000)
        assert "stalled time divided by watched time" in await page.inner_text("p[node] >> nth=0")
        await page.hover("p[node] [role=button] >> nth=0")  # the citation
        await page.wait_for_selector("text=buffering.md")
        if os.environ.get(SCREENSHOT):
            await page.wait_for_timeout(1_000)  # it fades in
            await page.screenshot(path=os.environ[SCREENSHOT])
        await page.keyboard.press("Escape")
        await page.click("[aria-label='Feedback Button'] [aria-label=Like]")
        await page.fill("[role=dialog] textarea", "Just what I needed")
        await page.click("[role=dialog] button:has-text('Submit')")
        async with asyncio.timeout(60):
            while not (votes := await product.votes()):
                await asyncio.sleep(0.05)
        assert [(vote["vote"], vote["way"], vote["comment"]) for vote in votes] == [
            ("up", "button", "Just what I needed")
        ]
        await browser.close()
