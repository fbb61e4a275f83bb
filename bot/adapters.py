"""Adapters in service: which ones there are, and whether the server really serves them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from pipeline.confidence import UNCALIBRATED, Calibrations
from pipeline.errors import ModelError, TrainingError
from pipeline.llm import BASE, ModelHost
from pipeline.settings import PipelineSettings

if TYPE_CHECKING:
    from bot.metrics import Metrics
    from bot.promotion import Serving
    from pipeline.training.calibration import Calibrated
    from pipeline.training.serving import Probe, Served

log = structlog.get_logger(__name__)

ASK_AGAIN = 60.0
"""Seconds until a server that gave no answer is asked again."""


async def check_adapter(host: ModelHost, settings: PipelineSettings, name: str) -> Served:
    """Whether `host` serves `name`; by its own training prompts where PROMPTAI_ADAPTERS says where it lies.

    Raises `TrainingError` for a folder that no server can load, and what `ChatModel.stream` raises.
    """
    from pipeline.training.adapter import read_adapter  # noqa: PLC0415 - training is loaded where adapters are
    from pipeline.training.serving import check_served, read_probes  # noqa: PLC0415 - as above

    folder = settings.adapter_folders.get(name)
    probes: tuple[Probe, ...] = ()
    if folder is not None and folder.suffix != ".gguf":
        await asyncio.to_thread(read_adapter, folder, values=False)
        probes = await asyncio.to_thread(read_probes, folder)
    return await check_served(host, name, probes)


def calibrations_of(settings: PipelineSettings, name: str) -> Calibrations:
    """How far the confidence of `name`'s drafts is to be believed; nothing where its folder is not known or does not say.

    Raises `TrainingError` for a `calibration.json` that cannot be read.
    """
    folder = settings.adapter_folders.get(name)
    if folder is None or folder.suffix == ".gguf":
        return UNCALIBRATED
    from pipeline.training import calibration  # noqa: PLC0415 - training is loaded where adapters are

    calibrated = calibration.read(folder)
    return calibrated.calibrations if calibrated else UNCALIBRATED


async def calibrate_adapter(
    host: ModelHost, settings: PipelineSettings, name: str, held_out: Path, progress: Callable[[int, int], None]
) -> Calibrated:
    """Let `name` draft for held-out questions and keep beside its weights how often it was right.

    Raises `TrainingError`, and what `ChatModel.stream` raises where the first question fails already.
    """
    from pipeline.training import calibration  # noqa: PLC0415 - training is loaded where adapters are
    from pipeline.training.rows import file_hash, read_rows  # noqa: PLC0415 - as above

    folder = settings.adapter_folders.get(name)
    if folder is None or folder.suffix == ".gguf":
        raise TrainingError(
            f"Say where {name} lies, as a folder of `promptai finetune`: PROMPTAI_ADAPTERS={name}=FOLDER."
        )
    rows = await asyncio.to_thread(read_rows, [held_out])
    observed = await calibration.observe(rows, host.model(name), progress=progress)
    found = calibration.summary(observed, data=file_hash(held_out), date=datetime.now(UTC).date().isoformat())
    await asyncio.to_thread(calibration.write, folder, found)
    return found


class AdapterChecks:
    """Checks the adapters in service, each once in the background, and tells the log and `/metrics`.

    A server that is down is asked until it answers. One that ignores an adapter goes on answering with its base: its
    drafts are gated like any other, and its answers are from the passages, so people are served while somebody mends it.
    """

    def __init__(
        self,
        host: ModelHost,
        settings: PipelineSettings,
        metrics: Metrics,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._host = host
        self._settings = settings
        self._gauge = metrics.adapter_served
        self._sleep = sleep
        self._checks: dict[str, asyncio.Task[None]] = {}
        """By adapter in service; also those that are done."""

    def follow(self, now: Serving) -> None:
        """Check whom `now` puts in service; whom it takes out of service loses its gauge."""
        names = {now.draft, now.answer} - {BASE}
        for name in self._checks.keys() - names:
            self._checks.pop(name).cancel()  # it sets nothing from here on
            self._gauge.remove(name)
        for name in sorted(names - self._checks.keys()):
            self._checks[name] = asyncio.create_task(self._check(name))

    async def close(self) -> None:
        for check in self._checks.values():
            check.cancel()
        await asyncio.gather(*self._checks.values(), return_exceptions=True)

    async def _check(self, name: str) -> None:
        from pipeline.training.serving import Verdict  # noqa: PLC0415 - training is loaded where adapters are

        while True:
            try:
                served = await check_adapter(self._host, self._settings, name)
            except TrainingError as error:
                self._gauge.labels(name).set(0)
                log.error("adapter_unusable", adapter=name, error=str(error))
                return
            except ModelError as error:
                log.warning("adapter_not_checked", adapter=name, error=str(error))
                await self._sleep(ASK_AGAIN)
                continue
            self._gauge.labels(name).set(float(served.verdict is Verdict.SERVED))
            tell = log.info if served.verdict is Verdict.SERVED else log.error
            tell("adapter_checked", adapter=name, verdict=served.verdict.value, advice=served.advice)
            return
