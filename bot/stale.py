"""Telling a thread that what an answer in it cites has changed since: one line, at most once an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Protocol

import structlog

from bot.delivery import Delivery, TakesNotes
from bot.errors import BotError, DeliveryError, DeliveryUnavailable, StoreUnavailable
from bot.messages import Platform, Question
from bot.store.freshness import REMOVED, StaleCitation

log = structlog.get_logger(__name__)

OLDEST = timedelta(days=30)
"""Nobody acts on an older answer any more."""
AT_ONCE = 20
"""Threads told or tried after one sync; the others, older ones, are told after the next."""
AGAIN = 600.0
"""Seconds until what a platform or the database could not take is tried again."""
PATIENCE = timedelta(hours=6)
"""From the first failure of one line, as of an answer (`bot.work`); a new start counts anew."""
QUOTED = 80
"""Characters of the question that are repeated, so that people know which answer is meant."""


class StaleAnswers(Protocol):
    """Implemented by `bot.store.SqlFreshness`; raises `StoreUnavailable`."""

    async def stale(self, tenant: str | None = None, *, untold: bool = False) -> Sequence[StaleCitation]: ...

    async def set_told(self, question_id: str) -> bool: ...

    async def set_untold(self, question_id: str) -> None: ...


class StaleNotices:
    """Claims an answer before it tells the thread, and gives the claim back where that is safe to repeat.

    No thread gets a second line: a claim is kept where the platform may have taken the first one and cannot be asked.
    That, a refusal or a crash costs one courtesy.
    """

    def __init__(
        self,
        answers: StaleAnswers,
        deliveries: Mapping[Platform, Delivery],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        again: float = AGAIN,
    ) -> None:
        self._again = again
        self._answers = answers
        self._deliveries = deliveries
        self._now = now
        self._failing: dict[str, datetime] = {}
        """Since when, by the question of each line that was tried and is still to be taken."""
        self._claims: set[str] = set()
        """Questions whose claim is still to be given back."""
        self._down: set[tuple[str, ...]] = set()
        """Where no further line was tried in this round: see `_where`."""

    async def run(self, went_stale: asyncio.Event) -> None:
        """Tell now, whenever `went_stale` is set, and after a while what could not be told; until cancelled."""
        try:
            while True:
                went_stale.clear()
                done = await self._round()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(None if done else self._again):
                        await went_stale.wait()
        finally:
            with contextlib.suppress(StoreUnavailable):
                await asyncio.shield(self._give_back())

    async def tell(self) -> int:
        """Tell the newest threads that have not been told; returns how many were. Raises `StoreUnavailable`."""
        await self._give_back()
        self._down.clear()
        lines = await self._lines()
        told = tried = 0
        for delivery, citations in lines:
            question = citations[0].question
            if _where(question) in self._down:
                continue
            if tried == AT_ONCE:
                break
            tried += 1
            try:
                told += await self._tell(delivery, citations)
            except DeliveryUnavailable:
                self._down.add(_where(question))
        return told

    async def _round(self) -> bool:
        """False if something is left to tell that needs no new change."""
        try:
            await self.tell()
        except BotError as error:
            log.warning("stale_notices_not_read", error=str(error))
        except Exception:  # a courtesy must not end with one bad row
            log.exception("stale_notices_failed")
        else:
            return not (self._down or self._failing or self._claims)
        return False

    async def _lines(self) -> list[tuple[TakesNotes, list[StaleCitation]]]:
        """What there is to tell, an answer each: those that have not failed before, newest first, then the others."""
        lines: list[tuple[TakesNotes, list[StaleCitation]]] = []
        for _, group in groupby(await self._answers.stale(untold=True), key=lambda each: each.question.id):
            citations = list(group)
            delivery = self._deliveries.get(citations[0].question.platform)
            if isinstance(delivery, TakesNotes) and self._now() - citations[0].answered_at <= OLDEST:
                lines.append((delivery, citations))
        there = {citations[0].question.id for _, citations in lines}
        self._failing = {each: since for each, since in self._failing.items() if each in there}
        return sorted(lines, key=lambda line: line[1][0].question.id in self._failing)

    async def _tell(self, delivery: TakesNotes, citations: Sequence[StaleCitation]) -> bool:
        """Whether it was told just now. Raises `DeliveryUnavailable` and `StoreUnavailable`."""
        question = citations[0].question
        since = self._failing.pop(question.id, None) or self._now()
        try:
            if not await self._answers.set_told(question.id):
                return False  # another replica did
            await delivery.note(question, notice(citations))
        except DeliveryUnavailable as error:
            again = (delivery.looks_first or not error.maybe_done) and self._now() - since < PATIENCE
            log.info(
                "stale_notice_postponed" if again else "stale_notice_not_delivered",
                question=question.id,
                error=str(error),
            )
            if again:
                self._failing[question.id] = since
                self._claims.add(question.id)
                await self._give_back()
            raise
        except (StoreUnavailable, asyncio.CancelledError):  # who knows how far it came
            if delivery.looks_first:
                self._claims.add(question.id)
            raise
        except DeliveryError as error:
            log.info("stale_notice_not_delivered", question=question.id, error=str(error))
            return False
        return True

    async def _give_back(self) -> None:
        """What cannot be given back now is the next time. Raises `StoreUnavailable`."""
        for question_id in tuple(self._claims):
            await self._answers.set_untold(question_id)
            self._claims.discard(question_id)


def _where(question: Question) -> tuple[str, ...]:
    """What is up or down as one: a tenant's platform or, in Slack, workspace."""
    return question.platform, question.tenant, question.address.get("team", "")


def notice(citations: Sequence[StaleCitation]) -> str:
    """One line of Markdown about the stale citations of one answer, in the order of their numbers."""
    words = " ".join(citations[0].question.text.split())
    asked = words if len(words) <= QUOTED else words[: QUOTED - 1].rstrip() + "…"
    numbers = ", ".join(f"[{each.number}]" for each in citations)
    gone = all(each.reason == REMOVED for each in citations)
    one = len(citations) == 1
    happened = (
        f"{'is' if one else 'are'} no longer in the documentation" if gone else f"{'has' if one else 'have'} changed"
    )
    return (
        f"A note on my answer to “{asked}”: {'source' if one else 'sources'} {numbers} {happened} since then."
        " Please ask again for an answer that is up to date."
    )
