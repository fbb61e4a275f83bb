"""The import contracts cover every module: a new one cannot slip past them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
HOMES = {
    "Slack's libraries stay in bot.slack": {"bot.slack"},
    "Bot Framework's libraries stay in bot.teams": {"bot.teams"},
    "Chroma stays in pipeline.retrieval": {"pipeline.retrieval"},
    "TGI's client stays in pipeline.llm": {"pipeline.llm"},
    "SQL stays in bot.store and pipeline.knowledge": {"bot.store", "pipeline.knowledge"},
}


def parts() -> set[str]:
    """The modules and packages directly in `bot` and `pipeline`."""
    return {
        f"{package}.{path.stem}"
        for package in ("bot", "pipeline")
        for path in (ROOT / package).iterdir()
        if path.stem not in ("__init__", "__pycache__") and (path.suffix == ".py" or (path / "__init__.py").exists())
    }


@pytest.mark.parametrize("name", HOMES)
def test_a_library_is_forbidden_everywhere_but_at_home(name: str) -> None:
    sources = set(next(c for c in CONTRACTS if c["name"] == name)["source_modules"])
    covered = {part for part in parts() if part in sources or part.split(".")[0] in sources}
    assert covered == parts() - HOMES[name]
