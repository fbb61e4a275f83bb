"""Conversion in processes of their own: what hangs is ended, what bloats runs against a limit, and both fail alone."""

from __future__ import annotations

import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.errors import DocumentUnreadable, NotADocument
from pipeline.knowledge.convert import MAX_BYTES, Converted, convert, is_nothing, is_plain
from pipeline.knowledge.sections import Section

TIMEOUT = 120.0
"""Seconds for one document."""
MEMORY = 1_500_000_000
"""Bytes for one process, about."""

_ROOT = Path(__file__).parents[2]
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT")


class Workers:
    """Converts in up to `processes` processes at once, started when first needed. Thread-safe; close it after use."""

    def __init__(
        self,
        processes: int | None = None,
        *,
        timeout: float = TIMEOUT,
        memory: int = MEMORY,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.processes = processes or max(1, min(4, (os.cpu_count() or 2)))
        self._timeout = timeout
        self._memory = memory
        self._max_bytes = max_bytes
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(self.processes):
            self._idle.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: TracebackType | type[BaseException] | BaseException | None) -> None:
        self.close()

    def convert(self, data: bytes, name: str) -> Converted:
        """As `convert.convert`; text is converted here, everything else in a process. Blocking."""
        if is_plain(name) or is_nothing(data, name) or len(data) > self._max_bytes:
            return convert(data, name, max_bytes=self._max_bytes)
        worker = self._idle.get()
        try:
            worker = worker if worker is not None and worker.alive else _Worker(self._memory)
            found, spent = worker.convert(data, name, self._max_bytes, self._timeout)
            if spent:
                worker.end()
            return found
        except BaseException:
            if worker is not None and not worker.ready:
                worker.end()
            raise
        finally:
            self._idle.put(worker if worker is not None and worker.alive else None)

    def close(self) -> None:
        """End all processes that are idle; call it when nothing is being converted."""
        for _ in range(self.processes):
            worker = self._idle.get()
            if worker is not None:
                worker.end()
            self._idle.put(None)


class _Worker:
    """One process."""

    def __init__(self, memory: int) -> None:
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603  # our own module, no shell
            [sys.executable, "-B", "-m", "pipeline.knowledge.worker_child", str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | {"PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)])},
        )
        self.ready = True
        """False while it is converting: it must not be given another document then."""

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def convert(self, data: bytes, name: str, max_bytes: int, timeout: float) -> tuple[Converted, bool]:
        """The document, and whether the process should not be used again."""
        self.ready = False
        order = json.dumps({"name": name, "size": len(data), "max_bytes": max_bytes}).encode() + b"\n"
        # by a thread, since a process that hangs does not read
        writing = threading.Thread(target=self._send, args=(order + data,), daemon=True)
        writing.start()
        line = self._receive(time.monotonic() + timeout, timeout)
        writing.join()
        answer: Mapping[str, Any] = json.loads(line)
        self.ready = not answer.get("spent")
        if "skip" in answer:
            raise NotADocument(answer["skip"])
        if "refused" in answer:
            raise DocumentUnreadable(answer["refused"])
        return _converted(answer["converted"]), not self.ready

    def _send(self, message: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(message)
            self._process.stdin.flush()
        except OSError:
            pass  # it died: reading its answer tells

    def _receive(self, until: float, timeout: float) -> bytes:
        assert self._process.stdout is not None
        received = bytearray()
        while not received.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                self.end()
                raise DocumentUnreadable(f"its conversion took longer than {timeout:g} s")
            piece = os.read(self._process.stdout.fileno(), 1 << 16)
            if not piece:
                self.end()
                raise DocumentUnreadable("it broke the converter: it is damaged, or needs too much memory")
            received += piece
        return bytes(received)


def _converted(answer: dict[str, Any]) -> Converted:
    parts = answer["sections"]
    if parts is not None:
        parts = tuple(Section(**{**part, "path": tuple(part["path"])}) for part in parts)
    return Converted(**{**answer, "sections": parts})
