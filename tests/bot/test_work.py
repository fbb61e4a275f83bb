"""From an accepted question to its delivered reply, killed and repeated anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from bot import texts
from bot.conversation import MAX_QUESTION_CHARS
from bot.errors import DeliveryRefused, DeliveryUnavailable, StoreUnavailable
from bot.experiments import Unit
from bot.messages import Platform, Question
from bot.metrics import Metrics
from bot.store import SqlExperiments, SqlStore
from bot.work import DELIVERY_DELAYS, AnswerWork
from pipeline.errors import (
    IndexUnavailable,
    ModelOverloaded,
    ModelRejected,
    ModelStreamBroken,
    ModelUnavailable,
)
from pipeline.types import Mode, Speculation, Turn
from tests.fakes.delivery import RecordingDelivery, ScriptedPipeline
from tests.fakes.samples import ANSWER, question


@dataclass
class World:
    """One bot without a platform, and its clock."""

    store: SqlStore
    delivery: RecordingDelivery = field(default_factory=RecordingDelivery)
    pipeline: ScriptedPipeline = field(default_factory=ScriptedPipeline)
    metrics: Metrics = field(default_factory=Metrics)
    slept: list[float] = field(default_factory=list)
    timeout: float = 30.0
    concurrency: int = 64
    experiments: SqlExperiments | None = None

    async def work(self, asked: Question, *, recovering: bool = False) -> None:
        await self.store.add_question(asked)
        await self.worker()(asked.id, recovering=recovering)

    def worker(self) -> AnswerWork:
        return AnswerWork(
            store=self.store,
            pipeline=self.pipeline,
            deliveries={Platform.SLACK: self.delivery},
            metrics=self.metrics,
            mode=Mode.COMBINED,
            experiments=self.experiments,
            timeout=self.timeout,
            concurrency=self.concurrency,
            sleep=self._sleep,
            error_id=lambda: "e1",
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def count(self, outcome: str) -> float:
        return (
            self.metrics.registry.get_sample_value("promptai_replies_total", {"platform": "slack", "outcome": outcome})
            or 0.0
        )


@pytest.fixture
def world(engine: AsyncEngine) -> World:
    return World(SqlStore(engine))


async def test_a_question_is_opened_streamed_and_finished(world: World) -> None:
    await world.work(question())
    assert world.delivery.opened == [question().id]
    assert world.delivery.shown == ["It is ", "It is ten seconds [1]."]
    assert world.delivery.finished["reply-m1"].answer == ANSWER
    stored = await world.store.load(question().id)
    assert stored is not None
    assert (stored.answer, stored.finished) == (ANSWER, True)
    assert world.count("answered") == 1


async def test_an_answer_whose_draft_was_too_late_is_counted_and_its_record_says_so(world: World) -> None:
    late = replace(ANSWER, speculation=Speculation("late"))
    world.pipeline.answer_ = late
    await world.work(question())
    stored = await world.store.load(question().id)
    assert stored is not None
    assert stored.answer == late
    assert world.metrics.registry.get_sample_value("promptai_late_drafts_total") == 1


async def test_work_that_is_done_is_not_done_again(world: World) -> None:
    await world.work(question())
    await world.work(question(), recovering=True)
    assert len(world.delivery.opened) == 1
    assert len(world.pipeline.asked) == 1


async def test_a_deleted_question_is_no_work(world: World) -> None:
    await world.worker()("q-none", recovering=True)
    assert world.delivery.opened == []


async def test_killed_after_opening_the_same_reply_is_used(world: World) -> None:
    await world.store.add_question(question())
    await world.store.set_reply(question().id, "reply-before")
    await world.work(question(), recovering=True)
    assert world.delivery.opened == []
    assert list(world.delivery.finished) == ["reply-before"]


async def test_killed_after_answering_the_model_is_not_asked_again(world: World) -> None:
    await world.store.add_question(question())
    await world.store.set_reply(question().id, "reply-before")
    await world.store.set_answer(question().id, ANSWER)
    await world.work(question(), recovering=True)
    assert world.pipeline.asked == []
    assert world.delivery.finished["reply-before"].answer == ANSWER


async def test_killed_before_opening_the_platform_is_told_to_look_first(world: World) -> None:
    await world.work(question(), recovering=True)
    assert world.delivery.recovered == [question().id]


async def test_a_fresh_question_is_opened_without_looking(world: World) -> None:
    await world.work(question())
    assert world.delivery.recovered == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModelUnavailable("down"), "model does not answer"),
        (ModelOverloaded("429"), "too many questions"),
        (ModelRejected("too long"), "make it shorter"),
        (ModelStreamBroken("stalled"), "broke off"),
        (IndexUnavailable("chroma down"), "look into the documentation"),
        (RuntimeError("a bug"), "something went wrong"),
    ],
)
async def test_a_failure_becomes_an_apology_with_the_error_id_of_the_log(
    world: World, error: Exception, words: str
) -> None:
    world.pipeline.error = error
    with capture_logs() as logs:
        await world.work(question())
    assert [(line["error_id"], line["error"]) for line in logs if line["event"] == "answer_failed"] == [
        ("e1", str(error))
    ]
    apology = world.delivery.failed["reply-m1"]
    assert words in apology.text
    assert apology.error_id == "e1"
    assert world.delivery.finished == {}
    assert world.count("apologised") == 1


async def test_a_bug_while_delivering_still_ends_in_an_apology_and_a_log_line(world: World) -> None:
    world.delivery.failures["finish"] = [ValueError("cannot render this")]
    with capture_logs() as logs:
        await world.work(question())
    assert world.delivery.failed["reply-m1"].error_id == "e1"
    assert [line["error"] for line in logs if line["event"] == "reply_failed"] == ["cannot render this"]
    stored = await world.store.load(question().id)
    assert stored is not None
    assert stored.finished


async def test_a_bug_before_and_after_opening_ends_the_question(world: World) -> None:
    world.delivery.failures["open"] = [ValueError("a bug")]
    await world.work(question())
    world.delivery.failures = {"finish": [ValueError("a bug")], "fail": [ValueError("another")]}
    await world.work(question(message_id="m2"))
    assert world.count("undeliverable") == 2


async def test_waiting_for_a_turn_counts_towards_the_time_limit(world: World) -> None:
    class Endless(ScriptedPipeline):
        async def answer(self, question, **more):  # type: ignore[no-untyped-def,override]
            await asyncio.Event().wait()
            yield

    world.pipeline, world.timeout, world.concurrency = Endless(), 0.05, 1
    worker = world.worker()
    for message in ("m1", "m2", "m3"):
        await world.store.add_question(question(message_id=message))
    ids = [question(message_id=message).id for message in ("m1", "m2", "m3")]
    async with asyncio.timeout(20):
        await asyncio.gather(*(worker(question_id, recovering=False) for question_id in ids))
    assert {apology.text for apology in world.delivery.failed.values()} == {texts.TOO_LATE}
    assert len(world.delivery.failed) == 3


async def test_an_answer_that_takes_too_long_becomes_an_apology(world: World) -> None:
    class Endless(ScriptedPipeline):
        async def answer(self, question, **more):  # type: ignore[no-untyped-def,override]
            await asyncio.Event().wait()
            yield

    world.pipeline = Endless()
    world.timeout = 0.01
    await world.work(question())
    assert world.delivery.failed["reply-m1"].text == texts.TOO_LATE


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (question(text=""), texts.HELP),
        (question(text=" \n "), texts.HELP),
        (question(text="", address={"files": "1"}), texts.FILES_ONLY),
    ],
)
async def test_a_message_that_asks_nothing_gets_help_without_asking_the_model(
    world: World, asked: Question, text: str
) -> None:
    await world.work(asked)
    assert world.delivery.finished["reply-m1"].answer.text == text
    assert world.pipeline.asked == []
    assert world.count("help") == 1


async def test_a_huge_message_is_cut_and_the_reply_says_so(world: World) -> None:
    await world.work(question(text="why " * 10_000))
    assert len(world.pipeline.asked[0][0]) <= MAX_QUESTION_CHARS
    assert "8,000" in (world.delivery.finished["reply-m1"].notice or "")


async def test_files_beside_a_question_are_mentioned(world: World) -> None:
    await world.work(question(address={"files": "1"}))
    assert world.delivery.finished["reply-m1"].notice == texts.FILES_NOTICE


async def test_a_follow_up_brings_its_threads_history(world: World) -> None:
    await world.work(question())
    await world.work(question(message_id="m2", text="And why?", second=9))
    assert world.pipeline.asked[1] == ("And why?", "acme", (Turn("What is it?", ANSWER.text),))


@pytest.mark.parametrize("method", ["open", "finish"])
async def test_a_platform_that_is_down_for_a_while_is_tried_again(world: World, method: str) -> None:
    world.delivery.failures[method] = [DeliveryUnavailable("503"), DeliveryUnavailable("429", retry_after=30)]
    await world.work(question())
    assert list(world.delivery.finished) == ["reply-m1"]
    assert world.slept == [DELIVERY_DELAYS[0], 30]


async def test_an_opening_whose_outcome_nobody_knows_is_looked_for_before_another_one(world: World) -> None:
    world.delivery.failures["open"] = [DeliveryUnavailable("no answer within 15 s")]
    await world.work(question())
    assert world.delivery.recovered == [question().id]


async def test_a_platform_that_stays_down_is_given_up_and_counted(world: World) -> None:
    world.delivery.failures["finish"] = [DeliveryUnavailable("503")] * 99
    await world.work(question())
    assert world.count("undeliverable") == 1
    assert world.slept == list(DELIVERY_DELAYS)
    assert sum(world.slept) > 6 * 3600


async def test_a_platform_that_refuses_is_not_tried_again(world: World) -> None:
    world.delivery.failures["open"] = [DeliveryRefused("channel_not_found")]
    await world.work(question())
    assert world.slept == []
    assert world.count("undeliverable") == 1


async def test_a_question_for_a_platform_that_is_switched_off_ends(world: World) -> None:
    await world.work(question(platform=Platform.TEAMS))
    stored = await world.store.load(question(platform=Platform.TEAMS).id)
    assert stored is not None
    assert stored.finished


async def test_a_database_that_is_down_for_a_while_loses_nothing(world: World) -> None:
    failures = [StoreUnavailable("down")] * 7
    real: Callable[..., object] = world.store.set_answer

    async def flaky(*args: object) -> None:
        if failures:
            raise failures.pop()
        await real(*args)  # type: ignore[misc]

    world.store.set_answer = flaky  # type: ignore[assignment,method-assign]
    await world.work(question())
    assert world.delivery.finished["reply-m1"].answer == ANSWER
    assert len(world.slept) == 7


async def test_a_running_experiment_chooses_the_mode(world: World, engine: AsyncEngine) -> None:
    world.experiments = SqlExperiments(engine)
    await world.experiments.start("e", (Mode.RAG, Mode.FINETUNED), Unit.PERSON)
    running = await world.experiments.running()
    assert running is not None
    await world.work(question())
    assert world.pipeline.modes == [running.arm(question())]
