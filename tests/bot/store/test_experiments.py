"""Live experiments, on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import ExperimentError
from bot.experiments import ArmCounts, Experiment, Unit, compared, difference, share
from bot.messages import Person, Vote
from bot.store import SqlExperiments, SqlStore
from pipeline.types import Mode
from tests.fakes.samples import ANSWER, NOW, question, rating

ARMS = (Mode.RAG, Mode.COMBINED)


@pytest.fixture
def experiments(engine: AsyncEngine) -> SqlExperiments:
    return SqlExperiments(engine, now=lambda: NOW)


async def test_without_an_experiment_questions_are_answered_as_usual(experiments: SqlExperiments) -> None:
    assert await experiments.mode_for(question(), Mode.FINETUNED) is Mode.FINETUNED
    assert await experiments.stop() is None


async def test_one_experiment_runs_at_a_time_and_a_name_is_used_once(experiments: SqlExperiments) -> None:
    await experiments.start("first", ARMS, Unit.PERSON)
    with pytest.raises(ExperimentError, match="first is running"):
        await experiments.start("second", ARMS, Unit.PERSON)
    stopped = await experiments.stop()
    assert stopped is not None
    assert await experiments.running() is None
    with pytest.raises(ExperimentError, match="another name"):
        await experiments.start("first", ARMS, Unit.PERSON)
    with pytest.raises(ExperimentError, match="two arms"):
        await experiments.start("third", (Mode.RAG, Mode.RAG), Unit.PERSON)


async def test_a_question_keeps_its_arm_when_the_experiment_ends_before_its_answer(
    experiments: SqlExperiments, engine: AsyncEngine
) -> None:
    asked = question()
    await SqlStore(engine, now=lambda: NOW).add_question(asked)
    await experiments.start("e", ARMS, Unit.PERSON)
    arm = await experiments.mode_for(asked, Mode.FINETUNED)
    await experiments.stop()
    assert arm in ARMS
    assert await experiments.mode_for(asked, Mode.FINETUNED) is arm
    assert await experiments.mode_for(question(message_id="m2"), Mode.FINETUNED) is Mode.FINETUNED


async def test_answers_and_current_votes_are_counted_by_arm(experiments: SqlExperiments, engine: AsyncEngine) -> None:
    store = SqlStore(engine, now=lambda: NOW)
    experiment = await experiments.start("e", ARMS, Unit.PERSON)
    expected = {arm: [0, 0, 0] for arm in ARMS}
    for at in range(8):
        asked = replace(question(message_id=f"m{at}"), person=Person(f"U{at}"))
        await store.add_question(asked)
        arm = await experiments.mode_for(asked, Mode.FINETUNED)
        await store.set_reply(asked.id, f"reply-m{at}")
        await store.set_answer(asked.id, replace(ANSWER, abstained=at == 0))
        vote = Vote.UP if at % 3 else Vote.DOWN
        await store.apply_rating(rating(vote=vote, reply_id=f"reply-m{at}"))
        for column, counted in enumerate((True, vote is Vote.UP, at == 0)):
            expected[arm][column] += counted
    counts = await experiments.counts(experiment)
    assert [(c.arm, [c.answers, c.up, c.abstained]) for c in counts] == list(expected.items())
    assert sum(c.down for c in counts) == 3


def test_a_person_stays_in_one_arm_and_the_arms_get_equal_shares() -> None:
    experiment = Experiment("e", ARMS, Unit.PERSON, NOW)
    people = [replace(question(), person=Person(f"U{at}")) for at in range(1000)]
    arms = [experiment.arm(asked) for asked in people]
    assert arms == [experiment.arm(replace(asked, message_id="other", text="Something else?")) for asked in people]
    assert 450 < arms.count(Mode.RAG) < 550
    other = [replace(experiment, name="f").arm(asked) for asked in people]
    assert 400 < sum(a == b for a, b in zip(arms, other, strict=True)) < 600  # another split for another experiment


def test_by_tenant_everybody_of_a_tenant_is_in_one_arm() -> None:
    experiment = Experiment("e", ARMS, Unit.TENANT, NOW)
    assert len({experiment.arm(replace(question(), person=Person(f"U{at}"))) for at in range(50)}) == 1
    assert len({experiment.arm(question(tenant=f"t{at}")) for at in range(50)}) == 2


def test_intervals_are_wilsons_and_newcombes() -> None:
    one, other = share(56, 70), share(48, 80)
    assert one is not None
    assert other is not None
    gap = difference(one, other)  # Newcombe 1998, table II, example (a), method 10
    assert (gap.value, gap.low, gap.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert share(0, 0) is None
    nobody = ArmCounts(Mode.RAG, 0, 0, 0, 0)
    assert compared([nobody, replace(nobody, arm=Mode.COMBINED)]) == [
        (nobody, None, None),
        (replace(nobody, arm=Mode.COMBINED), None, None),
    ]
