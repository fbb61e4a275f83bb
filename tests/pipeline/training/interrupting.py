"""What tests of whole trainings share: the files of an adapter, and ways to end a training early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FILES = {"adapter_config.json", "adapter_model.safetensors", "check.json", "log.jsonl", "loss.svg", "manifest.json"}


class Killed(BaseException):
    """Nothing catches it, as nothing catches kill -9."""


def at(step: int, act: Callable[[], None]) -> Callable[[Any], None]:
    """A report that acts after `step`."""

    def report(progress: Any) -> None:
        if progress.step == step:
            act()

    return report


def kill() -> None:
    raise Killed
