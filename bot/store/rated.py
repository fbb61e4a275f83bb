"""Rated answers of the tenants that agreed, for training data. Nobody's id is read, and names only to be scrubbed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, distinct, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.messages import Platform, Vote
from bot.store import rows
from bot.store.base import SqlPart
from bot.store.database import store_errors
from bot.store.operator_tables import ExperimentAnswerRow
from bot.store.rows import answer_id
from bot.store.tables import AnswerRow, CitationRow, QuestionRow, RatingRow
from bot.tenancy import TrainingConsent
from pipeline.knowledge.tables import DocumentRow
from pipeline.training.rated import Consent, GivenVote, RatedAnswer
from pipeline.types import SHARED, Answer

PAGE = 200
"""Answers that are held in memory at a time: a trace has several kilobytes."""

_STALE = exists().where(CitationRow.question_id == QuestionRow.id, CitationRow.stale_since.is_not(None))
_RATED = exists().where(RatingRow.question_id == QuestionRow.id)


class SqlRated(SqlPart):
    """Raises `StoreUnavailable`."""

    async def answers(self, consents: Mapping[str, TrainingConsent]) -> AsyncIterator[RatedAnswer]:
        """Answers with at least one current vote, oldest first. `consents`: the tenants to read and what they agreed to."""
        if not consents:
            return
        query = (
            select(
                QuestionRow.id, QuestionRow.tenant, QuestionRow.platform, QuestionRow.text, QuestionRow.asked_at,
                AnswerRow.trace, _STALE.label("stale"), ExperimentAnswerRow.experiment, ExperimentAnswerRow.arm,
            )
            .join(AnswerRow, AnswerRow.question_id == QuestionRow.id)
            .outerjoin(ExperimentAnswerRow, ExperimentAnswerRow.question_id == QuestionRow.id)
            .where(_RATED, QuestionRow.apology.is_(None), or_(*(_covered(consent) for consent in consents.values())))
            .order_by(QuestionRow.asked_at, QuestionRow.id)
        )  # fmt: skip
        with store_errors():
            async with self._engine.connect() as reading, self._engine.connect() as more:
                result = await reading.stream(query)
                async for page in result.partitions(PAGE):
                    for answer in await _rated(more, page, consents):
                        yield answer

    async def without_consent(self, agreed: Iterable[str]) -> int:
        """How many rated answers other tenants have."""
        query = select(func.count(distinct(RatingRow.question_id))).join(
            QuestionRow, QuestionRow.id == RatingRow.question_id
        )
        with store_errors():
            async with self._engine.connect() as connection:
                return (await connection.execute(query.where(QuestionRow.tenant.not_in(list(agreed))))).scalar_one()

    async def names(self, tenants: Iterable[str]) -> Sequence[str]:
        """Names of the people who asked or rated, as the platforms gave them."""
        mine = QuestionRow.tenant.in_(list(tenants))
        asked = select(QuestionRow.person_name).where(mine, QuestionRow.person_name.is_not(None))
        rated = select(RatingRow.person_name).join(QuestionRow, QuestionRow.id == RatingRow.question_id)
        rated = rated.where(mine, RatingRow.person_name.is_not(None))
        with store_errors():
            async with self._engine.connect() as connection:
                return sorted(str(name) for name in (await connection.scalars(asked.union(rated))).all())


def _covered(consent: TrainingConsent) -> ColumnElement[bool]:
    mine = QuestionRow.tenant == consent.tenant
    return mine if consent.covers_from is None else and_(mine, QuestionRow.asked_at >= consent.covers_from)


async def _rated(
    connection: AsyncConnection, page: Sequence[Any], consents: Mapping[str, TrainingConsent]
) -> list[RatedAnswer]:
    answers = {row.id: rows.TRACE.validate_json(row.trace) for row in page}
    votes = await _votes(connection, {row.id: Platform(row.platform) for row in page})
    versions = await _versions(connection, answers.values())
    return [
        RatedAnswer(
            answer_id=answer_id(row.id),
            tenant=row.tenant,
            platform=row.platform,
            question=row.text,
            asked_at=row.asked_at,
            answer=answers[row.id],
            votes=tuple(votes[row.id]),
            consent=Consent(str(consents[row.tenant].id), consents[row.tenant].at),
            stale=row.stale,
            experiment=f"{row.experiment}/{row.arm}" if row.experiment else "",
            versions=_of(answers[row.id], versions),
        )
        for row in page
        if votes[row.id]
    ]


async def _votes(connection: AsyncConnection, platforms: Mapping[str, Platform]) -> Mapping[str, list[GivenVote]]:
    columns = (RatingRow.question_id, RatingRow.vote, RatingRow.expert, RatingRow.rated_at)
    query = select(*columns, RatingRow.reason, RatingRow.comment).where(RatingRow.question_id.in_(platforms))
    votes: dict[str, list[GivenVote]] = defaultdict(list)
    for row in await connection.execute(query.order_by(RatingRow.rated_at)):
        # Slack's dialog asks "What would have been right?"; Teams' own form asks for no more than feedback.
        asked = platforms[row.question_id] is Platform.SLACK and row.reason is not None
        votes[row.question_id].append(
            GivenVote(row.vote == Vote.UP, row.expert, row.rated_at, row.reason or "", row.comment or "", asked)
        )
    return votes


async def _versions(connection: AsyncConnection, answers: Iterable[Answer]) -> Mapping[tuple[str, str], str]:
    """(tenant, document id) -> content hash of what is visible today."""
    documents = {hit.passage.document_id for answer in answers for hit in answer.hits}
    query = select(DocumentRow.tenant, DocumentRow.id, DocumentRow.content_hash)
    query = query.where(DocumentRow.visible, DocumentRow.id.in_(documents))
    return {(row.tenant, row.id): row.content_hash for row in await connection.execute(query)}


def _of(answer: Answer, versions: Mapping[tuple[str, str], str]) -> Mapping[str, str]:
    """The versions of the documents that the answer's model was shown."""
    shown = {(hit.passage.tenant or SHARED, hit.passage.document_id) for hit in answer.hits}
    return {document: versions[tenant, document] for tenant, document in shown if (tenant, document) in versions}
