"""Questions are answered with what is in service when they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from bot.answering import Answering
from bot.errors import StoreUnavailable
from bot.promotion import Promotion, Serving, serving
from pipeline.answering import AnsweringOptions
from pipeline.errors import ModelUnavailable, TrainingError
from pipeline.llm import BASE, ChatModel, Message
from pipeline.llm.scripted import ScriptedChatModel
from pipeline.settings import PipelineSettings
from pipeline.types import AnswerReady, Hit, Mode, Role, Turn
from tests.pipeline.retrieval.support import make_passage


class Host:
    """A server with a base and the adapters `docs` and `style`."""

    def __init__(self) -> None:
        self.started = self.closed = 0

    async def start(self) -> None:
        self.started += 1

    def model(self, name: str) -> ChatModel:
        if name not in (BASE, "docs", "style"):
            raise ModelUnavailable(f"no adapter {name}")
        return ScriptedChatModel([f"Says {name} [1]."], name=name)

    async def check(self) -> None: ...

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return 0

    async def close(self) -> None:
        self.closed += 1


class Kept:
    """Promotions in memory; `down`: the database is."""

    def __init__(self, **promoted: str) -> None:
        self.promoted = {Role(role): name for role, name in promoted.items()}
        self.down = False

    async def record(self, promotion: Promotion) -> None: ...

    async def in_service(self) -> Mapping[Role, str]:
        if self.down:
            raise StoreUnavailable("down")
        return self.promoted

    async def roll_back(self, role: Role) -> Promotion | None: ...

    async def all(self) -> Sequence[Promotion]:
        return ()


class OnePassage:
    async def retrieve(
        self, question: str, *, draft: str | None, tenant: str, k: int, trust: float | None = None
    ) -> tuple[Hit, ...]:
        return (Hit(make_passage("Says who.", tenant="shared", document="docs:a.md", path=("a",)), 1.0, (), 1.0),)


def settings(**values: str) -> PipelineSettings:
    return PipelineSettings(_env_file=None, **values)  # type: ignore[call-arg,arg-type]


def answering_with(kept: Kept, host: Host | None = None, **values: str) -> Answering:
    return Answering(
        settings(**values),
        host or Host(),
        OnePassage(),
        kept,
        lambda now: AnsweringOptions(trained_drafter=now.draft != BASE),
    )


async def drafted_and_answered(answering: Answering) -> tuple[str, str]:
    """Who wrote the draft and the answer of a question."""
    events = [event async for event in answering.answer("Who?", tenant="t", mode=Mode.COMBINED)]
    assert isinstance(events[-1], AnswerReady)
    answer = events[-1].answer
    assert answer.draft is not None
    return answer.draft.model, answer.text.split()[1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Serving("docs", "tgi")),
        ({"DRAFT_MODEL": "tgi"}, Serving("tgi", "tgi")),
        ({"DRAFT_MODEL": "style", "ANSWER_MODEL": "docs"}, Serving("style", "docs")),
    ],
)
def test_a_setting_comes_before_what_was_promoted_and_the_base_last(values: dict[str, str], expected: Serving) -> None:
    assert serving(settings(**values), {Role.DRAFT: "docs"}) == expected


async def test_a_promotion_and_a_roll_back_need_no_restart() -> None:
    kept, host = Kept(), Host()
    answering = answering_with(kept, host)
    assert await drafted_and_answered(answering) == ("tgi", "tgi")
    kept.promoted = {Role.DRAFT: "docs", Role.ANSWER: "style"}
    assert await drafted_and_answered(answering) == ("docs", "style")
    kept.promoted = {}
    assert await drafted_and_answered(answering) == ("tgi", "tgi")
    await answering.close()
    assert (host.started, host.closed) == (1, 1)


async def test_a_follow_up_is_rewritten_by_the_base() -> None:
    """An adapter that was trained to answer may not be able to do anything else any more."""
    answering = answering_with(Kept(answer="docs"))
    told = [Turn("Who speaks?", "Docs.")]
    events = [event async for event in answering.answer("And who says?", tenant="t", mode=Mode.RAG, history=told)]
    assert isinstance(events[-1], AnswerReady)
    assert events[-1].answer.models == (BASE, "docs")


async def test_whoever_comes_into_service_is_told_of_once() -> None:
    kept, told = Kept(draft="docs"), list[Serving]()
    answering = answering_with(kept)
    await answering.pipeline()
    answering.tell(told.append)
    await answering.pipeline()
    kept.promoted = {Role.DRAFT: "style"}
    await answering.pipeline()
    await answering.pipeline()
    kept.promoted = {Role.DRAFT: "not loaded"}
    await answering.pipeline()
    kept.promoted = {}
    await answering.pipeline()
    assert told == [Serving("docs", BASE), Serving("style", BASE), Serving(BASE, BASE)]


async def test_while_the_database_is_down_answers_go_on_as_before() -> None:
    kept = Kept(draft="docs")
    answering = answering_with(kept)
    assert await drafted_and_answered(answering) == ("docs", "tgi")
    kept.down = True
    assert await drafted_and_answered(answering) == ("docs", "tgi")


async def test_a_promoted_adapter_that_is_not_loaded_stops_a_start_and_no_running_bot() -> None:
    kept = Kept()
    answering = answering_with(kept)
    assert await drafted_and_answered(answering) == ("tgi", "tgi")
    kept.promoted = {Role.DRAFT: "new"}
    assert await drafted_and_answered(answering) == ("tgi", "tgi")
    with pytest.raises(ModelUnavailable, match="new"):
        await answering_with(kept).pipeline()


async def test_a_promoted_adapter_whose_calibration_is_broken_stops_a_start_and_no_running_bot(tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text("{")
    kept, places = Kept(), f"docs={tmp_path}"
    answering = answering_with(kept, PROMPTAI_ADAPTERS=places)
    assert await drafted_and_answered(answering) == ("tgi", "tgi")
    kept.promoted = {Role.DRAFT: "docs"}
    assert await drafted_and_answered(answering) == ("tgi", "tgi")
    with pytest.raises(TrainingError, match="Calibrate the adapter again"):
        await answering_with(kept, PROMPTAI_ADAPTERS=places).pipeline()
