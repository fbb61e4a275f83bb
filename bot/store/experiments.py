"""Live experiments in SQL: which one runs, who is in which arm, what people thought of it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, func, select, update

from bot.errors import ExperimentError
from bot.experiments import ArmCounts, Experiment, Unit
from bot.messages import Question, Vote
from bot.store.base import SqlPart
from bot.store.database import store_errors
from bot.store.operator_tables import ExperimentAnswerRow, ExperimentRow
from bot.store.tables import AnswerRow, RatingRow
from pipeline.types import Mode


class SqlExperiments(SqlPart):
    """Implements `bot.experiments.Experiments`. Raises `StoreUnavailable`."""

    async def start(self, name: str, arms: Sequence[Mode], unit: Unit) -> Experiment:
        """One runs at a time, so that no answer is in two. Raises `ExperimentError`."""
        if len(set(arms)) < max(2, len(arms)):
            raise ExperimentError("An experiment needs at least two arms, each once.")
        running = await self.running()
        if running is not None:
            raise ExperimentError(f"{running.name} is running: stop it first (`promptai experiments stop`).")
        experiment = Experiment(name, tuple(arms), unit, self._now())
        values = {
            "name": name,
            "arms": [arm.value for arm in arms],
            "unit": unit.value,
            "started_at": experiment.started_at,
        }
        with store_errors():
            async with self._engine.begin() as connection:
                result = await connection.execute(self._insert(ExperimentRow), values)
        if result.rowcount != 1:
            raise ExperimentError(f"There was an experiment {name} already: choose another name.")
        return experiment

    async def stop(self) -> Experiment | None:
        """End the running one; None if there is none."""
        running = await self.running()
        if running is not None:
            with store_errors():
                async with self._engine.begin() as connection:
                    this = update(ExperimentRow).where(ExperimentRow.name == running.name)
                    await connection.execute(this.values(stopped_at=self._now()))
        return running

    async def running(self) -> Experiment | None:
        return next((experiment for experiment in await self.all() if experiment.stopped_at is None), None)

    async def all(self) -> Sequence[Experiment]:
        """Every experiment there was, oldest first."""
        table = ExperimentRow.__table__
        with store_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(select(table).order_by(table.c.started_at))).all()
        return [
            Experiment(row.name, tuple(map(Mode, row.arms)), Unit(row.unit), row.started_at, row.stopped_at)
            for row in rows
        ]

    async def mode_for(self, question: Question, usual: Mode) -> Mode:
        """See `Experiments`. A question that is taken up again after a crash keeps its arm, even if the experiment ended."""
        known = select(ExperimentAnswerRow.arm).where(ExperimentAnswerRow.question_id == question.id)
        with store_errors():
            async with self._engine.connect() as connection:
                arm = (await connection.scalars(known)).first()
        if arm is not None:
            return Mode(arm)
        experiment = await self.running()
        if experiment is None:
            return usual
        chosen = experiment.arm(question)
        values = {"question_id": question.id, "experiment": experiment.name, "arm": chosen.value}
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(self._insert(ExperimentAnswerRow), values)
        return chosen

    async def counts(self, experiment: Experiment) -> Sequence[ArmCounts]:
        """Answers and current votes of each arm, in the experiment's order."""
        mine = ExperimentAnswerRow.experiment == experiment.name
        answers = (
            select(ExperimentAnswerRow.arm, func.count(), func.sum(case((AnswerRow.abstained, 1), else_=0)))
            .join(AnswerRow, AnswerRow.question_id == ExperimentAnswerRow.question_id)
            .where(mine)
            .group_by(ExperimentAnswerRow.arm)
        )
        votes = (
            select(ExperimentAnswerRow.arm, RatingRow.vote, func.count())
            .join(RatingRow, RatingRow.question_id == ExperimentAnswerRow.question_id)
            .where(mine)
            .group_by(ExperimentAnswerRow.arm, RatingRow.vote)
        )
        with store_errors():
            async with self._engine.connect() as connection:
                answered = {arm: (count, abstained) for arm, count, abstained in await connection.execute(answers)}
                voted = {(arm, vote): count for arm, vote, count in await connection.execute(votes)}
        return [
            ArmCounts(
                arm, *answered.get(arm.value, (0, 0)),
                voted.get((arm.value, Vote.UP.value), 0), voted.get((arm.value, Vote.DOWN.value), 0),
            )
            for arm in experiment.arms
        ]  # fmt: skip
