"""What is done with an accepted question: open a reply, answer, deliver. Each part is safe to repeat.

How far a question has come is kept in the store: the reply's id once it is open, the answer once it is whole, the end
once it is delivered. Work that was killed begins again at the first thing that is missing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import chain, repeat
from typing import Protocol, TypeVar

import structlog

from bot import texts
from bot.attachments import Attached, Attachments
from bot.conversation import MAX_HISTORY_TURNS, MAX_QUESTION_CHARS
from bot.delivery import Delivery, Opened
from bot.errors import DeliveryError, DeliveryRefused, DeliveryUnavailable, StoreUnavailable
from bot.experiments import Experiments
from bot.messages import Apology, Platform, Question, Reply
from bot.metrics import Metrics
from bot.store import SqlStore, StoredQuestion, answer_id
from pipeline.types import Answer, AnswerEvent, AnswerReady, Mode, TextDelta, Turn

log = structlog.get_logger(__name__)

T = TypeVar("T")

DELIVERY_DELAYS = (1.0, 4.0, 15.0, 60.0, 180.0, *[600.0] * 36)
"""Seconds between attempts at a platform that may come back, six hours in all; the adapters retry briefly by themselves."""

STORE_DELAYS = (0.5, 2.0, 8.0, 30.0)
"""Seconds between attempts at the database; the last one is repeated for as long as it takes."""


class Answerer(Protocol):
    """Makes answers. `pipeline.answering.AnsweringPipeline` is the real one."""

    def answer(
        self, question: str, *, tenant: str, history: Sequence[Turn] = (), mode: Mode | None = None
    ) -> AsyncGenerator[AnswerEvent, None]: ...


class AnswerWork:
    """Carries one question at a time from the store to its reply; many run concurrently."""

    def __init__(
        self,
        *,
        store: SqlStore,
        pipeline: Answerer,
        deliveries: Mapping[Platform, Delivery],
        metrics: Metrics,
        mode: Mode,
        experiments: Experiments | None = None,
        concurrency: int = 64,
        timeout: float = 180.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        error_id: Callable[[], str] = lambda: secrets.token_hex(4),
        attachments: Mapping[Platform, Attachments] | None = None,
    ) -> None:
        self._attachments = attachments if attachments is not None else {}
        self._store = store
        self._pipeline = pipeline
        self._deliveries = deliveries
        self._metrics = metrics
        self._mode = mode
        self._experiments = experiments
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout = timeout
        self._sleep = sleep
        self._error_id = error_id

    async def __call__(self, question_id: str, *, recovering: bool) -> None:
        """Bring the question to its end. Only cancellation gets out: then the work is unfinished and begins again."""
        stored = await self._insist(lambda: self._store.load(question_id))
        if stored is None or stored.finished:
            return
        structlog.contextvars.bind_contextvars(question=question_id)
        platform = stored.question.platform
        if recovering:
            self._metrics.recovered.labels(platform.value).inc()
        with self._metrics.in_flight.track_inprogress():
            state, outcome = await self._reply(stored, recovering=recovering)
        await self._insist(lambda: self._store.finish(question_id, state))
        self._metrics.replies.labels(platform.value, outcome).inc()
        log.info("question_finished", outcome=outcome, platform=platform.value)

    async def _reply(self, stored: StoredQuestion, *, recovering: bool) -> tuple[str, str]:
        """Open, answer, deliver; returns (state for the store, outcome for the metrics)."""
        delivery = self._deliveries.get(stored.question.platform)
        opened: Opened | None = None
        try:
            if delivery is None:
                raise DeliveryRefused(f"{stored.question.platform.value} is switched off: set its secrets and restart.")
            opened = await self._open(stored, delivery, recovering=recovering)
            result = await self._result(stored, opened, delivery)
            if isinstance(result, Apology):
                apology = result
                await self._insist(lambda: delivery.fail(opened, apology))
                return "apologised", "apologised"
            reply = self._reply_to(stored.question, result)
            await self._insist(lambda: delivery.finish(opened, reply))
        except DeliveryError as error:
            log.error("reply_undeliverable", error=str(error), error_id=self._error_id())
            self._metrics.errors.labels(type(error).__name__).inc()
            return "undeliverable", "undeliverable"
        except Exception as error:  # a fault of ours: the question still needs an end that somebody sees
            return await self._give_up(error, opened, delivery)
        return "answered", _outcome(stored.question, result)

    async def _give_up(self, error: Exception, opened: Opened | None, delivery: Delivery | None) -> tuple[str, str]:
        """Say sorry where a reply is open already, in the simplest way there is."""
        apology = Apology(texts.SORRY, self._error_id())
        log.error("reply_failed", error_id=apology.error_id, error=str(error), exc_info=error)
        self._metrics.errors.labels(type(error).__name__).inc()
        if opened is None or delivery is None:
            return "undeliverable", "undeliverable"
        try:
            await self._insist(lambda: self._store.set_apology(opened.question.id, apology))
            await self._insist(lambda: delivery.fail(opened, apology))
        except Exception as again:
            log.error("apology_failed", error_id=apology.error_id, error=str(again), exc_info=again)
            return "undeliverable", "undeliverable"
        return "apologised", "apologised"

    async def _open(self, stored: StoredQuestion, delivery: Delivery, *, recovering: bool) -> Opened:
        question = stored.question
        reply_id = stored.reply_id
        if reply_id is None:
            again = chain([recovering], repeat(True))
            # An attempt that failed may have left a message behind: the next one looks for it.
            reply_id = await self._insist(lambda: delivery.open(question, recovering=next(again)))
            await self._insist(lambda: self._store.set_reply(question.id, reply_id))
        return Opened(question, reply_id)

    async def _result(self, stored: StoredQuestion, opened: Opened, delivery: Delivery) -> Answer | Apology:
        """The answer, or what to say instead; stored before it is returned."""
        done = stored.answer or stored.apology
        if done is not None:
            return done
        question = stored.question
        try:
            files_help = texts.FILES_NEED_WORDS if question.platform in self._attachments else texts.FILES_ONLY
            answer = _without_pipeline(question, self._mode, files_help) or await self._answer(
                question, opened, delivery
            )
            await self._insist(lambda: self._store.set_answer(question.id, answer))
        except Exception as error:  # whatever failed, the person gets an apology and the operator the cause
            apology = Apology(texts.apology_for(error), self._error_id())
            log.error("answer_failed", error_id=apology.error_id, error=str(error), exc_info=error)
            self._metrics.errors.labels(type(error).__name__).inc()
            await self._insist(lambda: self._store.set_apology(question.id, apology))
            return apology
        return answer

    async def _answer(self, question: Question, opened: Opened, delivery: Delivery) -> Answer:
        """Run the pipeline and show its progress."""
        async with asyncio.timeout(self._timeout), self._slots:
            history = await self._store.history(question, MAX_HISTORY_TURNS)
            mode = await self._experiments.mode_for(question, self._mode) if self._experiments else self._mode
            attached = await self._attached(question)
            text = ""
            asked = question.text.strip()[:MAX_QUESTION_CHARS] + attached.text
            events = self._pipeline.answer(asked, tenant=question.tenant, history=history, mode=mode)
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, TextDelta):
                        text += event.text
                        await delivery.append(opened, text)
                    elif isinstance(event, AnswerReady):
                        self._observe(event.answer)
                        # In the text, so that it is stored with it: after a crash nobody reads the files again.
                        note = f"\n\n_{attached.notice}_" if attached.notice else ""
                        return replace(event.answer, text=event.answer.text + note)
                    else:
                        await delivery.status(opened, event)
        raise RuntimeError("The pipeline ended without an answer.")

    async def _attached(self, question: Question) -> Attached:
        """What the question's files say, where the platform's can be read."""
        reader = self._attachments.get(question.platform)
        if reader is None or not question.address.get("files"):
            return Attached()
        return await reader.read(question)

    def _observe(self, answer: Answer) -> None:
        timings = answer.timings
        if timings.first_token is not None:
            self._metrics.first_token.labels(answer.mode.value).observe(timings.first_token / 1000)
        self._metrics.total.labels(answer.mode.value).observe(timings.total / 1000)
        if answer.speculation is not None and answer.speculation.outcome == "late":
            self._metrics.late_drafts.inc()

    def _reply_to(self, question: Question, answer: Answer) -> Reply:
        notices = []
        if len(question.text.strip()) > MAX_QUESTION_CHARS:
            notices.append(texts.CUT_NOTICE.format(limit=MAX_QUESTION_CHARS))
        unread = question.address.get("files") and question.platform not in self._attachments
        if unread and question.text.strip():
            notices.append(texts.FILES_NOTICE)
        return Reply(answer_id(question.id), answer, " ".join(notices) or None)

    async def _insist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeat while platform or database may come back.

        A platform is given up after `DELIVERY_DELAYS`: `DeliveryUnavailable`. The database never is: without it the
        question's end could not be recorded, and a restart would find the question unfinished anyway.
        """
        platform_delays = iter(DELIVERY_DELAYS)
        store_delays = chain(STORE_DELAYS, repeat(STORE_DELAYS[-1]))
        while True:
            try:
                return await attempt()
            except DeliveryUnavailable as error:
                delay = next(platform_delays, None)
                if delay is None:
                    raise
                delay = max(delay, error.retry_after or 0.0)
                log.warning("platform_will_be_retried", error=str(error), seconds=delay)
            except StoreUnavailable as error:
                delay = next(store_delays)
                log.warning("store_will_be_retried", error=str(error), seconds=delay)
            await self._sleep(delay)


def _outcome(question: Question, answer: Answer) -> str:
    """For the metrics."""
    if not question.text.strip():
        return "help"
    return "abstained" if answer.abstained else "answered"


def _without_pipeline(question: Question, mode: Mode, files_help: str) -> Answer | None:
    """The reply to a message that asks nothing."""
    if question.text.strip():
        return None
    text = files_help if question.address.get("files") else texts.HELP
    return Answer(text, abstained=True, mode=mode)
