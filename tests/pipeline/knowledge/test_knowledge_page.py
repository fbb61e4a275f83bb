"""docs/knowledge.md: what it shows works."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from pipeline.knowledge.convert import MAX_BYTES
from pipeline.knowledge.declared import KINDS, read_declarations
from pipeline.knowledge.sources import Entry, Kit
from pipeline.knowledge.workers import MEMORY, TIMEOUT
from tests.pipeline.knowledge.support import open_world

PAGE = (Path(__file__).parents[3] / "docs" / "knowledge.md").read_text(encoding="utf-8")
FEED = (
    '<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>https://x.test/1</id><title>News</title>'
    "<content>It &lt;b&gt;works&lt;/b&gt; today.</content></entry></feed>"
)


async def test_the_source_of_its_own_can_be_declared_and_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert code is not None
    assert len([line for line in code[1].split("\n") if line.strip()]) <= 30
    (tmp_path / "feeds.py").write_text(code[1])
    spec = importlib.util.spec_from_file_location("feeds", tmp_path / "feeds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "feeds", module)
    spec.loader.exec_module(module)
    (tmp_path / "news.xml").write_text(FEED)
    (tmp_path / "knowledge.toml").write_text(
        '[[source]]\nname = "news"\nkind = "feeds:FeedEntry"\nlocation = "news.xml"\n'
    )
    [entry] = read_declarations(tmp_path / "knowledge.toml")
    async with open_world(tmp_path) as world:
        report = await world.syncer().sync(entry.open(Kit(folder=tmp_path)), tenant="shared")
        assert (report.added, report.failed) == (1, ())
        [passage] = await world.passages()
        assert (passage.location, passage.title, passage.text) == ("https://x.test/1", "News", "It **works** today.")


def test_every_key_and_kind_is_explained() -> None:
    for name in Entry.model_fields:
        assert f"`{name}`" in PAGE
    for name, kind in KINDS.items():
        [row] = [line for line in PAGE.split("\n") if line.startswith(f"| `{name}` | ") and "kind" not in line[:8]]
        own = kind.model_fields.keys() - Entry.model_fields.keys()
        assert all(f"`{key}`" in row for key in own)


def test_its_limits_are_the_programs() -> None:
    assert f"{TIMEOUT / 60:g} minutes or {MEMORY / 1e9:g} GB" in PAGE
    assert f"over {MAX_BYTES / 1e6:g} MB" in PAGE
