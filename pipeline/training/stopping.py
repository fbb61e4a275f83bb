"""A training that is asked to stop ends after the step in progress, with a checkpoint."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stopped(Exception):
    """Training was asked to stop; it goes on from `step` when it is started again."""

    def __init__(self, step: int) -> None:
        super().__init__(f"Stopped at step {step}.")
        self.step = step


@contextmanager
def stopping(watch: Any) -> Iterator[None]:
    """SIGINT and SIGTERM end training after the step in progress; a second one ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before: dict[int, Any] = {}

    def stop(number: int, _frame: object) -> None:
        watch.stopped = True
        signal.signal(number, before[number])

    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
