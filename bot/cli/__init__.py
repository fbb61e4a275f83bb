"""The `promptai` command: one module a group of commands. Each imports what it runs only when it runs."""

from __future__ import annotations

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Answers questions about your documentation in Slack, Teams and a web console.\n\n"
    'Start with `promptai sync docs/` and `promptai ask "…"`; then `promptai serve`.',
)
