"""Takes the picture of a thread for `docs/slack.md`: `python -m tests.real.slack.screenshot docs/slack.png`.

A whole bot in local-slack; the model's words are a script. local-slack's page does not draw the blocks of an answer (rich
text, thumbs): they are refused, so that the picture shows the answer's text, as Slack's notifications and old clients do.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.async_api import FloatRect, async_playwright

from pipeline import prompts
from tests.fakes.model_server import Stream
from tests.real.slack.local_slack import BOT
from tests.real.slack.product import Model, running_product

CHROMIUM = "/usr/bin/chromium"

THREAD: FloatRect = {"x": 821, "y": 44, "width": 379, "height": 482}
"""Where the page shows a thread, in pixels."""

ANSWER = """Quality alerts use a window of **5 minutes**; during a live event it shrinks to **1 minute** [1].

- Outside events, keep the default: shorter windows alert on noise.
- Sessions are kept for thirty days [1], so an alert can be looked into afterwards.
"""


class Script(Model):
    """Answers as a good model would."""

    def __call__(self, body: Mapping[str, Any]) -> Stream:
        system = str(body["messages"][0]["content"])
        if system == prompts.ANSWER:
            return Stream(ANSWER)
        return Stream("Quality alerts use a window of 5 minutes, and of 1 minute during a live event.")


async def main(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running_product("socket", Path(folder), model=Script()) as product:
            product.api.without_blocks = True
            asked = await product.slack.say(f"<@{BOT}> which window do quality alerts use during a live event?")
            await product.slack.until(asked, lambda found: found and "Sources" in found[0]["text"])
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                page = await browser.new_page(viewport={"width": 1200, "height": 640}, device_scale_factor=1.5)
                await page.goto(product.slack.url)
                await page.get_by_text("1 reply").first.click()
                await page.wait_for_timeout(1500)
                await page.screenshot(path=path, clip=THREAD)
                await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
