"""One run of the embedded model's process: started, announced, watched, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import ModelUnavailable
from pipeline.llm.failures import Endpoint

CHILD = (sys.executable, "-P", str(Path(__file__).with_name("embedded_child.py")))
"""By path and with `-P`: it runs wherever the package is, and none of our modules shadows one of Python's."""
MAX_LOG_BYTES = 1024 * 1024
END_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """What the process serves."""

    model_path: str
    """A GGUF file."""
    slots: int
    """Answers at the same time; more requests wait in its queue."""
    context_tokens: int
    """Prompt and answer together, per slot."""
    threads: int
    adapters: Sequence[str] = ()
    """GGUF LoRA files; a request picks one by its place in this list."""


class BoundedLog:
    """A file that keeps the last 1 to 2 MiB written to it: at the limit it becomes `NAME.1` and begins anew."""

    def __init__(self, path: Path, limit: int = MAX_LOG_BYTES) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._limit = limit

    def write(self, data: bytes) -> None:
        """Append `data`, a few lines at most."""
        if self.path.exists() and self.path.stat().st_size + len(data) > self._limit:
            self.path.replace(self.path.with_name(self.path.name + ".1"))
        with self.path.open("ab") as file:
            file.write(data[-self._limit :])


class ChildProcess:
    """A running process. Made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process, log: BoundedLog) -> None:
        self._process = process
        self._log = log
        self._pump = asyncio.create_task(self._write_log())
        self.endpoint: Endpoint | None = None
        """Where it listens, once it does."""

    @classmethod
    async def start(
        cls, config: ChildConfig, log: BoundedLog, *, timeout: float, command: Sequence[str] = CHILD
    ) -> ChildProcess:
        """Start it and wait until it listens. Raises `ModelUnavailable`."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in the terminal is the parent's to handle
        )
        child = cls(process, log)
        try:
            async with asyncio.timeout(timeout):
                child.endpoint = await child._announce(asdict(config))
        except BaseException as exc:
            await child.end()
            if isinstance(exc, (TimeoutError, OSError, ValueError)):
                raise ModelUnavailable(f"The embedded model did not start: see {log.path}.") from exc
            raise
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Return the exit code once it has ended by itself; a negative one is the signal that killed it."""
        return await self._process.wait()

    async def end(self) -> None:
        """End it, also when it does not want to."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await self._pump

    async def _announce(self, config: Mapping[str, object]) -> Endpoint:
        """Tell it what to serve; return where it does. Raises `OSError` or `ValueError` when it ends instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        api_key = secrets.token_urlsafe(32)
        self._process.stdin.write(json.dumps({**config, "api_key": api_key}).encode() + b"\n")
        await self._process.stdin.drain()
        match json.loads(await self._process.stdout.readline()):
            case {"url": str() as url}:
                hint = f"it is started again by itself; see {self._log.path}"
                return Endpoint(url, api_key, label="The embedded model", hint=hint)
        raise ValueError("the process announced no URL")

    async def _write_log(self) -> None:
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(65536):
            with contextlib.suppress(OSError):  # a full disk must not stop the model
                await asyncio.to_thread(self._log.write, data)


def usable_cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
