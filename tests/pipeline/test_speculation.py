"""Combined mode that does not wait for the draft. The order of events is set by hand: nothing here depends on time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest

from pipeline.answering import AnsweringOptions, AnsweringPipeline
from pipeline.errors import ModelUnavailable
from pipeline.llm import Message, Seen
from pipeline.llm.scripted import Failure, ScriptedChatModel
from pipeline.speculation import Drafting, in_cache_order, sure, unchanged
from pipeline.types import Answer, AnswerReady, FoundBy, Hit, Mode, Speculation, TextDelta
from tests.fakes.samples import HIT, PASSAGE


def hit(name: str, *ranks: int) -> Hit:
    lists = tuple(FoundBy(f"list{at}", rank, 0.5, 1.0) for at, rank in enumerate(ranks))
    return replace(HIT, passage=replace(PASSAGE, id=name, text=f"Text of {name}."), found_by=lists)


def hits(names: str) -> tuple[Hit, ...]:
    return tuple(hit(name, 9, 9) for name in names)


class TwoFindings:
    """Finds one thing for the question and another with a draft."""

    def __init__(self, question: tuple[Hit, ...], drafted: tuple[Hit, ...]) -> None:
        self.found = {False: question, True: drafted}
        self.drafts: list[str | None] = []

    async def retrieve(
        self, question: str, *, draft: str | None, tenant: str, k: int, trust: float | None = None
    ) -> tuple[Hit, ...]:
        self.drafts.append(draft)
        return self.found[draft is not None]


class SlowDrafter(ScriptedChatModel):
    """Says nothing before it is told to."""

    def __init__(self, text: str) -> None:
        super().__init__([text], name="drafter")
        self.go = asyncio.Event()

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        stop: Sequence[str] = (),
        seen: Seen | None = None,
    ) -> AsyncGenerator[str, None]:
        await self.go.wait()
        async for piece in super().stream(
            messages, max_tokens=max_tokens, temperature=temperature, stop=stop, seen=seen
        ):
            yield piece


async def settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(50):
        await asyncio.sleep(0)


class Bench:
    def __init__(self, first: str, drafted: str, mode: Drafting = Drafting.SPECULATIVE, **options: int) -> None:
        self.drafter = SlowDrafter("The default window of every quality alert is ten seconds long.")
        self.answerer = ScriptedChatModel(lambda messages: f"It says {messages[-1].content.count('Text of')} [1].")
        self.retriever = TwoFindings(hits(first), hits(drafted))
        self.pipeline = AnsweringPipeline(
            drafter=self.drafter, answerer=self.answerer, retriever=self.retriever,
            options=AnsweringOptions(mode=Mode.COMBINED, drafting=mode, **options),
        )  # fmt: skip

    async def run(self) -> tuple[str, Answer]:
        """What was shown before the draft's first word came, and the answer."""
        shown: list[str] = []
        answers: list[Answer] = []

        async def read() -> None:
            async for event in self.pipeline.answer("What is the window?", tenant="acme"):
                if isinstance(event, TextDelta):
                    shown.append(event.text)
                elif isinstance(event, AnswerReady):
                    answers.append(event.answer)

        reading = asyncio.create_task(read())
        await settle()
        early = "".join(shown)
        self.drafter.go.set()
        await reading
        assert "".join(shown).strip() == answers[0].text  # nothing that was shown is taken back
        return early, answers[0]


async def test_the_answer_is_begun_while_the_draft_is_written_and_kept_if_it_changes_nothing() -> None:
    bench = Bench("abcde", "abcde")
    early, answer = await bench.run()
    assert early == ""
    assert len(bench.answerer.requests) == 1
    assert bench.answerer.abandoned == 0
    assert answer.speculation == Speculation("kept")
    assert answer.draft is not None
    assert answer.timings.draft is not None


async def test_an_answer_from_passages_that_the_draft_replaces_is_begun_again_unseen() -> None:
    bench = Bench("abcde", "axyzb")
    early, answer = await bench.run()
    assert early == ""
    assert [len(bench.answerer.requests), len(answer.hits)] == [2, 5]
    assert answer.speculation is not None
    assert answer.speculation.outcome == "restarted"
    assert answer.speculation.wasted_pieces > 0
    assert "".join(h.passage.id for h in answer.hits) == "abxyz"  # the server's cache still holds what came first


async def test_cancelling_reaches_the_model_server() -> None:
    bench = Bench("abcde", "vwxyz")
    bench.answerer._pace = 1e9  # never gets to its first word by itself
    waits: list[asyncio.Event] = []

    async def wait(seconds: float) -> None:
        if not waits:
            waits.append(asyncio.Event())
            await waits[0].wait()

    bench.answerer._sleep = wait
    _, answer = await bench.run()
    assert bench.answerer.abandoned == 1
    assert answer.text


async def test_only_the_first_words_of_the_draft_are_waited_for() -> None:
    bench = Bench("abcde", "abcde", draft_words=4)
    _, answer = await bench.run()
    assert bench.retriever.drafts == [None, "The default window of"]
    assert bench.drafter.abandoned == 1
    assert answer.draft is not None
    assert answer.draft.text == "The default window of"


async def test_gated_asks_for_no_draft_where_the_lists_agree() -> None:
    bench = Bench("abcde", "vwxyz", Drafting.GATED)
    bench.retriever.found[False] = (hit("a", 1, 2), *hits("bcde"))
    early, answer = await bench.run()
    assert early.startswith("It says")
    assert bench.drafter.requests == []
    assert answer.speculation == Speculation("skipped")
    assert answer.draft is None


async def test_gated_waits_for_the_draft_where_they_do_not() -> None:
    bench = Bench("abcde", "vwxyz", Drafting.GATED)
    early, answer = await bench.run()
    assert early == ""
    assert answer.speculation == Speculation("waited")
    assert "".join(h.passage.id for h in answer.hits) == "vwxyz"


async def test_a_drafter_that_fails_leaves_the_answer_that_is_running() -> None:
    bench = Bench("abcde", "vwxyz")
    bench.drafter._script = [Failure(ModelUnavailable("down"))]
    _, answer = await bench.run()
    assert answer.speculation == Speculation("kept")
    assert len(bench.answerer.requests) == 1


async def test_an_answerer_that_fails_is_an_error_where_its_answer_is_kept() -> None:
    bench = Bench("abcde", "abcde")
    bench.answerer._script = [Failure(ModelUnavailable("down"))]
    with pytest.raises(ModelUnavailable):
        await bench.run()


async def test_leaving_stops_draft_and_answer() -> None:
    bench = Bench("abcde", "vwxyz")
    before = asyncio.all_tasks()
    events = bench.pipeline.answer("What is the window?", tenant="acme")
    reading = asyncio.ensure_future(anext(events))
    await settle()
    await reading
    more = asyncio.ensure_future(anext(events))
    await settle()
    more.cancel()
    await asyncio.gather(more, return_exceptions=True)
    await events.aclose()
    assert asyncio.all_tasks() == before


def test_what_is_sure_and_what_is_unchanged() -> None:
    assert sure((hit("a", 1, 3),))
    assert not sure((hit("a", 1, 4),))
    assert not sure((hit("a", 1),))
    assert not sure(())
    assert unchanged(hits("abcde"), hits("edcba"))
    assert unchanged(hits("abcde"), hits("abcdx"))
    assert not unchanged(hits("abcde"), hits("abcxy"))
    assert not unchanged(hits("abcde"), hits("xabcd"))
    assert not unchanged((), hits("a"))
    assert "".join(h.passage.id for h in in_cache_order(hits("abcde"), hits("xbae"))) == "abxe"
