"""Rows of the database as the bot's values, and back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from bot.conversation import Exchange
from bot.messages import Apology, Person, Platform, Question, Rating, Reason, Vote, Way
from bot.store.votes import Gesture
from pipeline.types import Answer

TRACE = TypeAdapter(Answer)
"""Answers with their whole trace, to and from JSON."""


@dataclass(frozen=True, slots=True)
class StoredQuestion:
    """A question with how far its reply has come."""

    question: Question
    reply_id: str | None
    """None until the reply is open."""
    answer: Answer | None
    apology: Apology | None
    finished: bool
    """The reply has been delivered, or never will be."""


def answer_id(question_id: str) -> str:
    """An answer's id follows from its question's: there is one answer to each."""
    return "a-" + question_id.removeprefix("q-")


def stored_question(row: Any) -> StoredQuestion:
    apology = Apology(row.apology, row.error_id or "") if row.apology else None
    return StoredQuestion(question(row), row.reply_id, _answer(row), apology, row.state != "accepted")


def _answer(row: Any) -> Answer | None:
    return TRACE.validate_json(row.trace) if row.trace else None


def question(row: Any) -> Question:
    return Question(
        tenant=row.tenant,
        platform=Platform(row.platform),
        conversation=row.conversation,
        thread=row.thread,
        message_id=row.message_id,
        person=Person(row.person_id, row.person_name, row.person_team),
        text=row.text,
        asked_at=row.asked_at,
        address=dict(row.address),
    )


def exchange(row: Any) -> Exchange:
    answer = _answer(row)
    return Exchange(
        question_id=row.id,
        text=row.text,
        person=Person(row.person_id, row.person_name, row.person_team),
        answer_id=answer_id(row.id) if answer else None,
        answer=answer,
        apology=f"{row.apology} (error {row.error_id})" if row.apology else None,
        reply_id=row.reply_id,
        vote=Vote(row.vote) if row.vote else None,
    )


def gesture(row: Any) -> Gesture:
    reason = Reason(row.reason) if row.reason else None
    return Gesture(Vote(row.vote), row.gesture, row.removed, Way(row.way), row.at, row.comment, reason, row.expert)


def event_values(question_id: str, rating: Rating) -> dict[str, object]:
    return {
        "question_id": question_id,
        "person_id": rating.person.id,
        "vote": rating.vote.value,
        "gesture": rating.gesture,
        "removed": rating.removed,
        "way": rating.way.value,
        "comment": rating.comment,
        "reason": rating.reason.value if rating.reason else None,
        "expert": rating.expert,
        "at": rating.at,
    }


def withdrawal_values(question_id: str, person: Person, standing: Gesture, at: datetime) -> dict[str, object]:
    """The event that takes a gesture back."""
    return {
        "question_id": question_id,
        "person_id": person.id,
        "vote": standing.vote.value,
        "gesture": standing.name,
        "removed": True,
        "way": standing.way.value,
        "comment": None,
        "reason": None,
        "expert": standing.expert,
        "at": at,
    }


def early_values(rating: Rating, kept_at: datetime) -> dict[str, object]:
    return {
        "platform": rating.platform.value,
        "tenant": rating.tenant,
        "conversation": rating.conversation,
        "reply_id": rating.reply_id,
        "person_id": rating.person.id,
        "person_name": rating.person.name,
        "person_team": rating.person.team,
        "vote": rating.vote.value,
        "gesture": rating.gesture,
        "removed": rating.removed,
        "way": rating.way.value,
        "comment": rating.comment,
        "reason": rating.reason.value if rating.reason else None,
        "expert": rating.expert,
        "at": rating.at,
        "kept_at": kept_at,
    }


def early_rating(row: Any) -> Rating:
    return Rating(
        platform=Platform(row.platform),
        tenant=row.tenant,
        conversation=row.conversation,
        reply_id=row.reply_id,
        person=Person(row.person_id, row.person_name, row.person_team),
        vote=Vote(row.vote),
        gesture=row.gesture,
        removed=row.removed,
        way=Way(row.way),
        at=row.at,
        comment=row.comment,
        reason=Reason(row.reason) if row.reason else None,
        expert=row.expert,
    )


def rating_values(question_id: str, person: Person, current: Gesture) -> dict[str, object]:
    return {
        "question_id": question_id,
        "person_id": person.id,
        "person_name": person.name,
        "person_team": person.team,
        "vote": current.vote.value,
        "way": current.way.value,
        "comment": current.comment,
        "reason": current.reason.value if current.reason else None,
        "expert": current.expert,
        "rated_at": current.at,
    }


def export_row(row: Any) -> dict[str, Any]:
    answer = _answer(row)
    return {
        "answer_id": answer_id(row.id),
        "tenant": row.tenant,
        "platform": row.platform,
        "question": row.text,
        "answer": answer.text if answer else None,
        "abstained": answer.abstained if answer else None,
        "mode": answer.mode.value if answer else None,
        "models": list(answer.models) if answer else [],
        "citations": [citation.location for citation in answer.citations] if answer else [],
        "vote": row.vote,
        "way": row.way,
        "comment": row.comment,
        "reason": row.reason,
        "expert": row.expert,
        "person": row.rater,
        "person_team": row.rater_team,
        "asked_at": row.asked_at.isoformat(),
        "rated_at": row.rated_at.isoformat(),
    }
