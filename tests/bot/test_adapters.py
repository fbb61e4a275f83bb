"""What `serve` says about adapters, and when it asks again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.adapters import ASK_AGAIN, report_adapters
from bot.metrics import Metrics
from pipeline.llm.tgi import ModelServer
from pipeline.settings import PipelineSettings
from tests.fakes.model_server import ModelServerFake, Script, Status, Stream, echo
from tests.fakes.tiny_llama import write_adapter

LEARNED = Stream("Stall Ratio is rebuffering over watching time.")
DOWN = Status(500, {"error": "starting", "error_type": "healthcheck"})


def settings(**values: str) -> PipelineSettings:
    return PipelineSettings(_env_file=None, **values)  # type: ignore[call-arg,arg-type]


async def reported(
    *replies: Script, adapters: dict[str, Script], places: str = ""
) -> tuple[dict[str, float], list[float]]:
    """`promptai_adapter_served` by adapter, and the waits."""
    metrics, waits = Metrics(), []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async with ModelServerFake(*replies, adapters=adapters) as fake:
        host = ModelServer(fake.url, max_retries=0)
        await report_adapters(
            host, settings(PROMPTAI_ADAPTERS=places), ["tgi", "docs", "answers"], metrics, sleep=sleep
        )
        await host.close()
    (gauge,) = metrics.adapter_served.collect()
    return {sample.labels["adapter"]: sample.value for sample in gauge.samples}, waits


async def test_served_and_ignored_adapters_are_told_apart_in_the_metrics() -> None:
    assert await reported(echo, adapters={"docs": LEARNED}) == ({"docs": 1.0, "answers": 0.0}, [])


async def test_a_server_that_is_down_is_asked_again_until_it_answers() -> None:
    served, waits = await reported(DOWN, DOWN, echo, adapters={"docs": LEARNED, "answers": LEARNED})
    assert served == {"docs": 1.0, "answers": 1.0}
    assert waits == [ASK_AGAIN, ASK_AGAIN]


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
