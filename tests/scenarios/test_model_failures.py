"""A model server that misbehaves, over HTTP: what the person gets and what the operator's log says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.messages import Platform
from bot.metrics import Metrics
from bot.store import SqlStore, database_url, migrate, open_engine
from bot.work import AnswerWork
from pipeline.answering import AnsweringPipeline
from pipeline.llm.tgi import ModelServer
from pipeline.types import Hit, Mode
from tests.fakes.delivery import RecordingDelivery
from tests.fakes.model_server import Break, ModelServerFake, Stall, Status, Stream, in_band, unused_url
from tests.fakes.samples import HIT, question


class OnePassage:
    async def retrieve(
        self, question: str, *, draft: str | None, tenant: str, k: int, trust: float | None = None
    ) -> tuple[Hit, ...]:
        return (HIT,)


async def ask(url: str, folder: Path) -> tuple[RecordingDelivery, list[Any]]:
    """Ask one question of a bot whose model server is at `url`."""
    engine = open_engine(database_url(None, folder))
    await migrate(engine)
    store, delivery = SqlStore(engine), RecordingDelivery()
    server = ModelServer(
        url, first_token_timeout=2.0, stall_timeout=0.2, max_retries=1, uniform=lambda _low, _high: 0.0
    )
    model = server.model("product")
    work = AnswerWork(
        store=store,
        pipeline=AnsweringPipeline(drafter=model, answerer=model, retriever=OnePassage()),
        deliveries={Platform.SLACK: delivery},
        metrics=Metrics(),
        mode=Mode.RAG,
        error_id=lambda: "e1",
    )
    try:
        await store.add_question(question())
        with capture_logs() as logs:
            await work(question().id, recovering=False)
    finally:
        await server.close()
        await engine.dispose()
    return delivery, logs


@pytest.mark.parametrize(
    ("reply", "told", "logged"),
    [
        (Status(503), "the model does not answer", "503"),
        (Status(429), "too many questions", "429"),
        (Status(422), "make it shorter", "422"),
        (Stream("It is ", Stall()), "broke off", "no token"),
        (Stream("It is ", Break()), "broke off", "broke"),
        (Stream("It is ", in_band("out of memory", 424)), "broke off", "out of memory"),
    ],
)
async def test_the_person_gets_an_apology_and_the_log_the_cause_under_one_error_id(
    reply: Stream | Status, told: str, logged: str, tmp_path: Path
) -> None:
    async with ModelServerFake(lambda _body: reply) as server:
        delivery, logs = await ask(server.url, tmp_path)
    apology = delivery.failed["reply-m1"]
    lines = [line for line in logs if line["event"] == "answer_failed"]
    assert told in apology.text
    assert [line["error_id"] for line in lines] == [apology.error_id]
    assert logged in lines[0]["error"].lower(), lines[0]["error"]


async def test_a_server_that_is_down_is_named_in_the_log_and_not_to_the_person(tmp_path: Path) -> None:
    url = unused_url()
    delivery, logs = await ask(url, tmp_path)
    assert "the model does not answer" in delivery.failed["reply-m1"].text
    assert url not in delivery.failed["reply-m1"].text
    assert "MODEL_URL" in next(line["error"] for line in logs if line["event"] == "answer_failed")
