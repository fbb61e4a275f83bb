"""The page's files: complete, and safe by construction."""

from __future__ import annotations

import re

import pytest

from bot.web.handlers import STATIC
from tests.fakes.web_console import Console

PAGE = (STATIC / "index.html").read_text()
SCRIPTS = sorted(STATIC.glob("*.js"))


def test_the_page_has_no_inline_script_or_style() -> None:
    assert not re.search(r"<script(?![^>]*\bsrc=)", PAGE)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", PAGE)


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for file in STATIC.iterdir():
        text = re.sub(r'xmlns="[^"]*"|"http://www\.w3\.org/2000/svg"', "", file.read_text())
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//|url\(|@import|from \"http", text), file.name


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_script_turns_text_into_markup(script: object) -> None:
    text = script.read_text()  # type: ignore[attr-defined]
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser", text
    )


async def test_everything_the_page_names_is_there(console: Console) -> None:
    names = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', PAGE))
    for script in SCRIPTS:
        names |= {f"/static/{name}" for name in re.findall(r'from "\./([^"]+)"', script.read_text())}
    assert {"/static/app.js", "/static/app.css", "/static/markdown.js", "/static/mark.svg"} <= names
    for name in names:
        assert (await console.browser.get(name)).status == 200, name


async def test_every_file_has_the_type_that_nosniff_demands(console: Console) -> None:
    types = {".js": "javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
    for file in STATIC.iterdir():
        response = await console.browser.get(f"/static/{file.name}")
        assert types[file.suffix] in response.headers["Content-Type"], file.name


async def test_the_adapter_says_that_the_page_is_installed(console: Console) -> None:
    await console.adapter.start()
    await console.adapter.check()
