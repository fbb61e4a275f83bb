"""Small values that many tests need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.messages import Person, Platform, Question, Rating, Vote, Way
from pipeline.types import Answer, Citation, Draft, FoundBy, Hit, Mode, Passage, Timings

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

PASSAGE = Passage("p1", "docs:page.md", "shared", "page.md#a", "Page", ("Page", "A"), "It is ten seconds.", 0)
HIT = Hit(PASSAGE, 0.03, (FoundBy("dense(question)", 1, 0.8, 1.0),), 0.8)
ANSWER = Answer(
    text="It is ten seconds [1].",
    abstained=False,
    mode=Mode.COMBINED,
    citations=(Citation(1, "Page", "page.md#a", "p1"),),
    question="What is it?",
    draft=Draft("Ten seconds.", "product"),
    hits=(HIT,),
    timings=Timings(draft=100.0, retrieve=20.0, first_token=300.0, total=900.0),
    models=("product",),
)


def question(
    *,
    text: str = "What is it?",
    message_id: str = "m1",
    thread: str = "t1",
    conversation: str = "C1",
    tenant: str = "acme",
    platform: Platform = Platform.SLACK,
    second: int = 0,
    address: dict[str, str] | None = None,
) -> Question:
    asked_at = NOW + timedelta(seconds=second)
    return Question(
        tenant, platform, conversation, thread, message_id, Person("U1", "Ada", "T1"), text, asked_at, address or {}
    )


def rating(
    *,
    vote: Vote = Vote.UP,
    removed: bool = False,
    second: int = 0,
    person: Person | None = None,
    reply_id: str = "reply-m1",
    gesture: str | None = None,
    way: Way = Way.REACTION,
) -> Rating:
    return Rating(
        platform=Platform.SLACK,
        tenant="acme",
        conversation="C1",
        reply_id=reply_id,
        person=person or Person("U1"),
        vote=vote,
        gesture=gesture or vote.value,
        removed=removed,
        way=way,
        at=NOW + timedelta(seconds=second),
    )
