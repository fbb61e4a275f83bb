"""What `serve` says about adapters, and when it asks again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.adapters import ASK_AGAIN, AdapterChecks, calibrate_adapter, calibrations_of
from bot.metrics import Metrics
from bot.promotion import Serving
from pipeline.confidence import UNCALIBRATED
from pipeline.errors import TrainingError
from pipeline.llm import BASE, Message
from pipeline.llm.tgi import ModelServer
from pipeline.settings import PipelineSettings
from pipeline.training.rows import Provenance, Row, Skill, write_rows
from tests.fakes.model_server import ModelServerFake, Script, Status, Stream, echo
from tests.fakes.tiny_llama import write_adapter

LEARNED = Stream("Stall Ratio is rebuffering over watching time.")
DOWN = Status(500, {"error": "starting", "error_type": "healthcheck"})


def settings(**values: str) -> PipelineSettings:
    return PipelineSettings(_env_file=None, **values)  # type: ignore[call-arg,arg-type]


def gauges(metrics: Metrics) -> dict[str, float]:
    """`promptai_adapter_served` by adapter."""
    (gauge,) = metrics.adapter_served.collect()
    return {sample.labels["adapter"]: sample.value for sample in gauge.samples}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def reported(
    *replies: Script, adapters: dict[str, Script], places: str = ""
) -> tuple[dict[str, float], list[float]]:
    """What the metrics say when `docs` drafts and `answers` answers, and the waits."""
    metrics, waits = Metrics(), []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with ModelServerFake(*replies, adapters=adapters) as fake:
        host = ModelServer(fake.url, max_retries=0)
        checks = AdapterChecks(host, settings(PROMPTAI_ADAPTERS=places), metrics, sleep=sleep)
        checks.follow(Serving("docs", "answers"))
        await until(lambda: len(gauges(metrics)) == 2)
        await checks.close()
        await host.close()
    return gauges(metrics), waits


async def test_served_and_ignored_adapters_are_told_apart_in_the_metrics() -> None:
    assert await reported(echo, adapters={"docs": LEARNED}) == ({"docs": 1.0, "answers": 0.0}, [])


async def test_a_server_that_is_down_is_asked_again_until_it_answers() -> None:
    served, waits = await reported(DOWN, DOWN, echo, adapters={"docs": LEARNED, "answers": LEARNED})
    assert served == {"docs": 1.0, "answers": 1.0}
    assert waits == [ASK_AGAIN, ASK_AGAIN]


async def test_a_promotion_is_checked_too_and_what_it_took_out_of_service_leaves_the_metrics() -> None:
    metrics = Metrics()
    async with ModelServerFake(echo, adapters={"docs": LEARNED}) as fake:
        host = ModelServer(fake.url, max_retries=0)
        checks = AdapterChecks(host, settings(), metrics)
        checks.follow(Serving("docs", BASE))
        await until(lambda: gauges(metrics) == {"docs": 1.0})
        checks.follow(Serving("ignored", BASE))
        assert gauges(metrics) == {}
        await until(lambda: gauges(metrics) == {"ignored": 0.0})
        checks.follow(Serving("docs", BASE))
        await until(lambda: gauges(metrics) == {"docs": 1.0})
        asked = len(fake.requests)
        checks.follow(Serving("docs", "docs"))
        checks.follow(Serving(BASE, BASE))
        assert gauges(metrics) == {}
        await checks.close()
        await host.close()
    assert len(fake.requests) == asked  # `docs` had proved itself


async def test_a_check_that_a_roll_back_overtakes_reports_nothing() -> None:
    metrics = Metrics()
    waiting = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    async with ModelServerFake(DOWN, echo) as fake:
        host = ModelServer(fake.url, max_retries=0)
        checks = AdapterChecks(host, settings(), metrics, sleep=sleep)
        checks.follow(Serving("docs", BASE))
        await waiting.wait()
        checks.follow(Serving(BASE, BASE))
        await checks.close()
        await host.close()
    assert gauges(metrics) == {}


async def test_an_adapter_whose_folder_no_server_can_load_is_reported_without_asking(tmp_path: Path) -> None:
    write_adapter(tmp_path / "docs", rank=128)
    served, _ = await reported(echo, adapters={"docs": LEARNED}, places=f"docs={tmp_path / 'docs'}")
    assert served == {"docs": 0.0, "answers": 0.0}


@pytest.mark.parametrize("text", ["docs", "docs=", "=folder", "a b=folder", "x=1,x=2", "tgi=folder"])
def test_places_of_adapters_that_are_not_named_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="PROMPTAI_ADAPTERS"):
        settings(PROMPTAI_ADAPTERS=text)


def test_places_of_adapters_are_read_in_their_order() -> None:
    found = settings(PROMPTAI_ADAPTERS="b=one/folder, a=two.gguf,").adapter_folders
    assert list(found.items()) == [("b", Path("one/folder")), ("a", Path("two.gguf"))]


def held_out(file: Path, questions: int = 40) -> Path:
    provenance = Provenance("docs:stalls.md", (), "v", "seed")
    text = "Stall Ratio is rebuffering over watching time."
    rows = [
        Row((Message("user", f"question {n}"),), (Message("assistant", text),), Skill.DRAFT, "seed", provenance)
        for n in range(questions)
    ]
    write_rows(file, rows)
    return file


async def test_a_calibration_is_measured_on_the_server_and_read_where_questions_are_answered(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "docs")
    configured = settings(PROMPTAI_ADAPTERS=f"docs={folder}")
    assert calibrations_of(configured, "docs") == UNCALIBRATED
    async with ModelServerFake(echo, adapters={"docs": LEARNED}) as fake:
        host = ModelServer(fake.url, max_retries=0)
        found = await calibrate_adapter(
            host, configured, "docs", held_out(tmp_path / "held-out.jsonl"), lambda *_: None
        )
        await host.close()
    assert (found.questions, found.right) == (40, 1.0)
    assert calibrations_of(configured, "docs") == found.calibrations


async def test_an_adapter_whose_folder_is_not_known_cannot_be_calibrated(tmp_path: Path) -> None:
    host = ModelServer("http://127.0.0.1:9")
    with pytest.raises(TrainingError, match="PROMPTAI_ADAPTERS=docs=FOLDER"):
        await calibrate_adapter(host, settings(), "docs", held_out(tmp_path / "held-out.jsonl"), lambda *_: None)
    assert calibrations_of(settings(), "docs") == UNCALIBRATED
