"""The `promptai` command. Its groups of commands are the modules of `bot.cli`, in the order that `--help` shows."""

from __future__ import annotations

from bot.cli import adapters as _adapters  # noqa: F401
from bot.cli import app
from bot.cli import asking as _asking  # noqa: F401
from bot.cli import embedders as _embedders  # noqa: F401
from bot.cli import evaluation as _evaluation  # noqa: F401
from bot.cli import experiments as _experiments  # noqa: F401
from bot.cli import finetuning as _finetuning  # noqa: F401
from bot.cli import freshness as _freshness  # noqa: F401
from bot.cli import keys as _keys  # noqa: F401
from bot.cli import knowledge as _knowledge  # noqa: F401
from bot.cli import promotion as _promotion  # noqa: F401
from bot.cli import ratings as _ratings  # noqa: F401
from bot.cli import serving as _serving  # noqa: F401 - each module adds its commands to `app`
from bot.cli import synthesis as _synthesis  # noqa: F401
from bot.cli import tenants as _tenants  # noqa: F401


def main() -> None:
    """Entry point of the `promptai` command."""
    app()


if __name__ == "__main__":
    main()
