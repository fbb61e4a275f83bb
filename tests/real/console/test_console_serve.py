"""A headless Chromium uses the console of the whole product: `promptai sync`, `promptai serve`, a scripted model server."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import web_sample as sample
from tests.fakes.model_server import ModelServerFake, Stream
from tests.fakes.web_console import free_port
from tests.real.console.pages import ask, open_page

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

DRAFT = "Watch start failures, the rebuffering ratio, startup time, exits before start and concurrent plays."
SENTENCES = ["Keep **these five** ", "on one screen [1]. ", "Alerts shrink their window ", "to 1 minute [2]."]


class Model:
    """Drafts at once; answers sentence by sentence and waits before the last one until it is let go on."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    def __call__(self, body: Mapping[str, Any]) -> Stream:
        prompt = " ".join(str(message["content"]) for message in body["messages"])
        if "passage" not in prompt.lower() and "[1]" not in prompt:
            return Stream(DRAFT)
        return Stream(*SENTENCES[:-1], self.go_on, SENTENCES[-1])


def write_documents(folder: Path) -> Path:
    for document in sample.DOCUMENTS:
        path = folder / document.location
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document.text)
    return folder


@asynccontextmanager
async def promptai(*arguments: str, environment: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command, as a person runs it; ended with Ctrl-C."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", *arguments,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
        assert b"Traceback" not in output, output.decode()


async def until_served(process: asyncio.subprocess.Process, url: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(120):
        while line := (await process.stdout.readline()).decode():
            if url in line:
                return
    raise AssertionError("promptai serve ended before it served the console")


async def test_a_question_is_answered_from_documents_and_survives_a_restart(chromium: Any, tmp_path: Path) -> None:
    documents, port = write_documents(tmp_path / "docs"), free_port()
    url, model = f"http://127.0.0.1:{port}", Model()
    async with ModelServerFake(model) as server:
        environment = {
            "PROMPTAI_DATA_DIR": str(tmp_path / "data"),
            "PROMPTAI_CONSOLE_PORT": str(port),
            "PROMPTAI_PORT": str(free_port()),
            "MODEL_URL": server.url,
        }
        async with promptai("sync", str(documents), environment=environment) as sync:
            assert await sync.wait() == 0
        async with promptai("serve", environment=environment) as serve:
            await until_served(serve, url)
            async with open_page(chromium, url + "/") as page:
                await ask(page, sample.QUESTION)
                await page.wait_for_selector('[data-state="streaming"] .prose strong', timeout=60_000)
                assert "Keep these five" in await page.inner_text(".prose")
                model.go_on.set()
                await page.wait_for_selector('.exchange[data-state="answered"]')
                await page.click("button.cite >> nth=0")
                await page.wait_for_selector("#panel .evidence, #panel .evidence-piece")
                await page.keyboard.press("Escape")
                await page.click("text=How this was found")
                assert DRAFT in await page.inner_text(".draft")
                assert "keyword(" in await page.inner_text(".passages")
                await page.click(".thumb-up")
                await page.wait_for_selector("text=Thank you, noted.")
                await page.reload()
                await page.wait_for_selector('.thumb-up[aria-pressed="true"]')
                profile, address = await page.context.storage_state(), page.url
        async with promptai("serve", environment=environment) as serve:
            await until_served(serve, url)
            async with open_page(chromium, address, storage_state=profile) as page:
                await page.wait_for_selector('.thumb-up[aria-pressed="true"]')
                assert DRAFT in await page.evaluate("document.querySelector('.draft').textContent")
