"""Writes `docs/settings.md` and `.env.example` from the settings themselves: `python -m bot.settings_page`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from bot.settings import BotSettings
from pipeline.settings import PipelineSettings

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Slack", ("SLACK_",)),
    ("Teams", ("MICROSOFT_", "PROMPTAI_TEAMS_")),
    ("Models", ("MODEL_", "DRAFT_", "ANSWER_", "EMBEDDING_")),
    ("Data", ("PROMPTAI_DATA_DIR", "DATABASE_URL", "CHROMA_URL")),
    (
        "Answering",
        (
            "PROMPTAI_MODE",
            "PROMPTAI_PASSAGES",
            "PROMPTAI_MIN_",
            "PROMPTAI_DRAFT",
            "PROMPTAI_ANSWER_TOKENS",
            "PROMPTAI_CONTEXT_",
        ),
    ),
    ("Serving", ("PROMPTAI_",)),
)
"""Settings by the first group whose prefix fits."""


def settings() -> list[tuple[str, list[FieldInfo]]]:
    """All settings, grouped, in the order of the code."""
    fields = [*BotSettings.model_fields.values(), *PipelineSettings.model_fields.values()]
    grouped: dict[str, list[FieldInfo]] = {name: [] for name, _ in GROUPS}
    for field in fields:
        group = next(name for name, prefixes in GROUPS if str(field.alias).startswith(prefixes))
        grouped[group].append(field)
    return list(grouped.items())


def page() -> str:
    """`docs/settings.md`."""
    lines = [
        "# Settings",
        "",
        "Read once, at start, from the environment and from a file `.env` beside it (copy `.env.example`). "
        "A wrong one stops the program before it connects to anything and names the variable. "
        "A platform without its secrets is off.",
        "",
        "This page is made from the code: `python -m bot.settings_page`.",
    ]
    for name, fields in settings():
        lines += ["", f"## {name}", "", "| variable | default | meaning |", "| --- | --- | --- |"]
        lines += [f"| `{field.alias}` | {_default(field)} | {field.description} |" for field in fields]
    return "\n".join(lines) + "\n"


def example() -> str:
    """`.env.example`: every variable, commented out with its default."""
    lines = ["# Copy to .env and fill in what you need. Meaning of each: docs/settings.md"]
    for name, fields in settings():
        lines += ["", f"# {name}"]
        lines += [f"#{field.alias}={_value(field.default)}" for field in fields]
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    value = _value(field.default)
    return f"`{value}`" if value else "unset"


def _value(default: Any) -> str:
    if default is None:
        return ""
    if isinstance(default, bool):
        return "1" if default else "0"
    return str(default)


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    (root / "docs" / "settings.md").write_text(page(), encoding="utf-8")
    (root / ".env.example").write_text(example(), encoding="utf-8")


if __name__ == "__main__":
    main()
