"""Telling a thread that what an answer in it cites has changed since: one line, at most once an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Protocol

import structlog

from bot.delivery import Delivery, TakesNotes
from bot.errors import BotError, DeliveryError, DeliveryUnavailable
from bot.messages import Platform
from bot.store.freshness import REMOVED, StaleCitation

log = structlog.get_logger(__name__)

OLDEST = timedelta(days=30)
"""Nobody acts on an older answer any more."""
AT_ONCE = 20
"""Threads told after one sync; the others, older ones, are told after the next."""
AGAIN = 600.0
"""Seconds until what a platform or the database could not take is tried again."""
TRIES = 36
"""Of one line, six hours in all, as of an answer (`bot.work`); a new start counts anew."""
QUOTED = 80
"""Characters of the question that are repeated, so that people know which answer is meant."""


class StaleAnswers(Protocol):
    """Implemented by `bot.store.SqlFreshness`; raises `StoreUnavailable`."""

    async def stale(self, tenant: str | None = None, *, untold: bool = False) -> Sequence[StaleCitation]: ...

    async def set_told(self, question_id: str) -> bool: ...

    async def set_untold(self, question_id: str) -> None: ...


class StaleNotices:
    """Claims an answer before it tells the thread, and gives the claim back where the platform is down.

    A crash or a refusal costs one courtesy. No thread gets a second line, unless the platform took the first without saying
    so and cannot be asked (Teams).
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
        self._postponed: Counter[str] = Counter()
        """Tries so far, by the question of each line that is still to be taken."""
        self._answers = answers
        self._deliveries = deliveries
        self._now = now

    async def run(self, went_stale: asyncio.Event) -> None:
        """Tell now, whenever `went_stale` is set, and after a while what could not be told; until cancelled."""
        while True:
            went_stale.clear()
            done = False
            try:
                await self.tell()
                done = not self._postponed
            except BotError as error:
                log.warning("stale_notices_not_read", error=str(error))
            except Exception:  # a courtesy must not end with one bad row
                log.exception("stale_notices_failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if done else self._again):
                    await went_stale.wait()

    async def tell(self) -> int:
        """Tell the newest threads that have not been told; returns how many were. Raises `StoreUnavailable`."""
        told = tried = 0
        for _, group in groupby(await self._answers.stale(untold=True), key=lambda each: each.question.id):
            citations = list(group)
            delivery = self._deliveries.get(citations[0].question.platform)
            too_old = self._now() - citations[0].answered_at > OLDEST
            if too_old or not isinstance(delivery, TakesNotes):
                continue
            if tried == AT_ONCE:
                break
            tried += 1
            told += await self._tell(delivery, citations)
        return told

    async def _tell(self, delivery: TakesNotes, citations: Sequence[StaleCitation]) -> bool:
        question = citations[0].question
        if not await self._answers.set_told(question.id):
            return False  # another replica did
        try:
            await delivery.note(question, notice(citations))
        except DeliveryError as error:
            await self._not_taken(question.id, error)
            return False
        self._postponed.pop(question.id, None)
        return True

    async def _not_taken(self, question_id: str, error: DeliveryError) -> None:
        self._postponed[question_id] += 1
        if isinstance(error, DeliveryUnavailable) and self._postponed[question_id] < TRIES:
            await self._answers.set_untold(question_id)
            log.info("stale_notice_postponed", question=question_id, error=str(error))
        else:
            del self._postponed[question_id]
            log.info("stale_notice_not_delivered", question=question_id, error=str(error))


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
