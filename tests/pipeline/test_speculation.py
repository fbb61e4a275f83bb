"""Combined mode that does not wait for the draft. The order of events is set by hand: nothing here depends on time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from pipeline.answering import AnsweringOptions, AnsweringPipeline
from pipeline.confidence import UNCALIBRATED, Calibration, Calibrations
from pipeline.errors import IndexUnavailable, ModelUnavailable
from pipeline.llm import Message, Seen
from pipeline.llm.scripted import Failure, ScriptedChatModel
from pipeline.speculation import Drafting, in_cache_order, unchanged
from pipeline.types import (
    Answer,
    AnswerReady,
    Findings,
    FoundBy,
    Hit,
    Mode,
    Speculation,
    Stage,
    StageStarted,
    TextDelta,
    Turn,
)
from pipeline.verdict import sure
from tests.fakes.samples import HIT, PASSAGE


def hit(name: str, *ranks: int) -> Hit:
    lists = tuple(FoundBy(f"list{at}", rank, 0.5, 1.0) for at, rank in enumerate(ranks))
    return replace(HIT, passage=replace(PASSAGE, id=name, text=f"Text of {name}."), found_by=lists)


def hits(names: str) -> tuple[Hit, ...]:
    return tuple(hit(name, 9, 9) for name in names)


class TwoFindings:
    """Finds one thing for the question and another with a draft."""

    def __init__(self, question: tuple[Hit, ...], drafted: tuple[Hit, ...], titles: Sequence[str] = ()) -> None:
        self.found = {False: question, True: drafted}
        self.titles = tuple(titles)
        self.drafts: list[str | None] = []
        self.preferred: list[str] = []
        self.error: Exception | None = None

    async def retrieve(
        self, question: str, *, draft: str | None, tenant: str, k: int, trust: float | None = None
    ) -> tuple[Hit, ...]:
        self.drafts.append(draft)
        return self.found[draft is not None]

    async def find(self, question: str, *, tenant: str, k: int) -> Findings:
        if self.error is not None:
            raise self.error
        return Findings(await self.retrieve(question, draft=None, tenant=tenant, k=k), self.titles, self._preferring)

    async def _preferring(self, title: str, first: bool) -> tuple[Hit, ...]:
        self.preferred.append(title if first else f"{title} second")
        return self.found[True]


class SlowDrafter(ScriptedChatModel):
    """Says nothing before it is told to."""

    def __init__(self, text: str, logprob: float = 0.0) -> None:
        super().__init__([text], name="drafter", logprob=logprob)
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
    draft = "The default window of every quality alert is ten seconds long."

    def __init__(self, first: str, drafted: str, mode: Drafting = Drafting.SPECULATIVE, **options: int) -> None:
        self.drafter = SlowDrafter(self.draft)
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
        assert answers[0].abstained or "".join(shown).strip() == answers[0].text  # nothing that was shown is taken back
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


async def test_a_search_that_fails_stops_the_draft() -> None:
    bench = Trained("Stall Ratio > Formula")
    bench.retriever.error = IndexUnavailable("down")
    before = asyncio.all_tasks()
    with pytest.raises(IndexUnavailable):
        await bench.run()
    assert asyncio.all_tasks() == before


TITLES = ("Page", "Stall Ratio", "Stall Frequency", "Startup Delay")


HONEST = Calibration(((0.0, 0.0), (1.0, 1.0)))
HONEST_TITLE = Calibrations(title=HONEST)


class Trained(Bench):
    """With a drafter that begins with a heading path, and says of each word how probable it is."""

    def __init__(
        self,
        draft: str,
        *,
        each: float = 1.0,
        calibrations: Calibrations = HONEST_TITLE,
        mode: Drafting = Drafting.GATED,
        drafted: str = "xyabc",
    ) -> None:
        self.drafter = SlowDrafter(draft, math.log(each))
        self.answerer = ScriptedChatModel(lambda messages: f"It says {messages[-1].content.count('Text of')} [1].")
        self.retriever = TwoFindings(hits("abcde"), hits(drafted), TITLES)
        self.pipeline = AnsweringPipeline(
            drafter=self.drafter, answerer=self.answerer, retriever=self.retriever,
            calibrations=calibrations,
            options=AnsweringOptions(mode=Mode.COMBINED, drafting=mode, trained_drafter=True),
        )  # fmt: skip


async def test_a_draft_that_begins_with_the_best_passage_s_page_is_not_read_on() -> None:
    bench = Trained("Page > Alerts and their windows")
    bench.retriever.titles = ("Page", "Startup Delay")
    early, answer = await bench.run()
    assert early == ""
    assert answer.speculation == Speculation("agreed")
    assert bench.retriever.drafts == [None]  # nothing is searched again
    assert bench.drafter.abandoned == 1
    assert answer.draft is not None
    assert answer.draft.text == "Page"
    assert "".join(h.passage.id for h in answer.hits) == "abcde"


async def test_a_page_that_is_named_comes_first_without_another_search() -> None:
    bench = Trained("Startup Delay > Good range")
    _, answer = await bench.run()
    assert answer.speculation == Speculation("named")
    assert bench.retriever.preferred == ["Startup Delay"]
    assert bench.retriever.drafts == [None]
    assert bench.drafter.abandoned == 1
    assert "".join(h.passage.id for h in answer.hits) == "xyabc"


async def test_a_draft_that_is_unlikely_to_be_right_is_not_read_on() -> None:
    bench = Trained("Startup Delay > Good range", each=0.2)
    _, answer = await bench.run()
    assert answer.speculation == Speculation("doubted")
    assert bench.drafter.abandoned == 1
    assert "".join(h.passage.id for h in answer.hits) == "abcde"


async def test_an_unsettled_drafter_is_read_to_the_end_of_the_title() -> None:
    """Its probability may fall further; once it has not, the page comes first, or nothing changes."""
    bench = Trained("Startup Delay > Good range of it", each=0.85)
    _, answer = await bench.run()
    assert answer.speculation == Speculation("named")
    assert bench.drafter.abandoned == 1
    assert answer.draft is not None
    assert answer.draft.trust == pytest.approx(0.85**3)
    lower = Trained("Startup Delay > Good range", each=0.78)
    assert (await lower.run())[1].speculation == Speculation("added")


async def test_a_page_that_is_named_by_a_draft_as_likely_wrong_as_right_is_added_behind_the_best() -> None:
    bench = Trained("Startup Delay > Good range", each=0.5)
    _, answer = await bench.run()
    assert answer.speculation == Speculation("added")
    assert bench.retriever.preferred == ["Startup Delay second"]
    assert bench.retriever.drafts == [None]


async def test_a_page_that_the_question_did_not_find_is_searched_for_with_the_whole_line() -> None:
    bench = Trained("Rebuffering > Formula\nThe share of time …")
    _, answer = await bench.run()
    assert answer.speculation == Speculation("waited")
    assert bench.retriever.drafts == [None, "Rebuffering > Formula"]
    assert bench.retriever.preferred == []


SURE_OF_TITLES_ONLY = Calibrations(title=Calibration(((0.0, 0.9),)), line=Calibration(((0.0, 0.3),)))


async def test_a_draft_that_is_searched_with_is_believed_as_its_line_is_and_a_verdict_as_its_title() -> None:
    """`always` reads the whole line, and so does what has to be searched for; a page is named before that."""
    for draft, mode, outcome, trust in (
        ("Startup Delay > Good range", Drafting.GATED, "named", 0.9),
        ("Page > Alerts", Drafting.GATED, "agreed", 0.9),
        ("Rebuffering > Formula\nThe share of time …", Drafting.GATED, "waited", 0.3),
        ("Startup Delay > Good range", Drafting.ALWAYS, None, 0.3),
    ):
        bench = Trained(draft, calibrations=SURE_OF_TITLES_ONLY, mode=mode)
        _, answer = await bench.run()
        assert (answer.speculation.outcome if answer.speculation else None) == outcome
        assert answer.draft is not None
        assert answer.draft.trust == trust


async def test_a_draft_that_is_cut_before_its_line_ends_is_believed_as_its_title_is() -> None:
    bench = Trained("Rebuffering > " + "on and " * 20, calibrations=SURE_OF_TITLES_ONLY)
    _, answer = await bench.run()
    assert answer.speculation == Speculation("waited")
    assert answer.draft is not None
    assert answer.draft.trust == 0.9


async def test_a_line_s_calibration_alone_decides_when_the_line_is_written() -> None:
    bench = Trained("Startup Delay > Good range of it", calibrations=Calibrations(line=HONEST), each=0.95)
    _, answer = await bench.run()
    assert answer.speculation == Speculation("named")
    assert bench.drafter.abandoned == 0
    assert answer.draft is not None
    assert answer.draft.trust == pytest.approx(0.95**7)


async def test_without_a_calibration_a_draft_may_agree_but_put_no_other_page_first() -> None:
    bench = Trained("Startup Delay > Good range", calibrations=UNCALIBRATED)
    _, answer = await bench.run()
    assert answer.speculation == Speculation("waited")
    assert bench.retriever.drafts == [None, "Startup Delay > Good range"]
    agreeing = Trained("Page > Alerts", calibrations=UNCALIBRATED)
    assert (await agreeing.run())[1].speculation == Speculation("agreed")


async def test_a_trained_drafter_is_asked_while_the_question_is_searched_for() -> None:
    """Even where the lists agree: what it has to say is there before the answer can begin."""
    bench = Trained("Startup Delay > Good range")
    bench.retriever.found[False] = (hit("a", 1, 1), *hits("bcde"))
    _, answer = await bench.run()
    assert answer.speculation == Speculation("named")


async def test_a_page_that_a_believed_draft_names_is_answered_from_however_far_from_the_question_it_is() -> None:
    """And not where the draft is doubted: then nothing speaks for the passages."""
    for each, abstained in ((1.0, False), (0.2, True)):
        bench = Trained("Startup Delay > Good range", each=each)
        far = tuple(
            replace(h, similarity=0.1, found_by=(), passage=replace(h.passage, heading_path=("Startup Delay",)))
            for h in hits("xy")
        )
        bench.retriever.found = {True: far, False: tuple(replace(h, similarity=0.1) for h in hits("abcde"))}
        _, answer = await bench.run()
        assert answer.abstained is abstained


async def test_a_running_answer_is_kept_where_the_draft_agrees_and_begun_again_where_it_names_another_page() -> None:
    kept = Trained("Page > Alerts", mode=Drafting.SPECULATIVE)
    _, answer = await kept.run()
    assert answer.speculation == Speculation("kept")
    assert kept.answerer.abandoned == 0
    restarted = Trained("Startup Delay > Good range", mode=Drafting.SPECULATIVE)
    _, answer = await restarted.run()
    assert answer.speculation is not None
    assert answer.speculation.outcome == "restarted"
    assert "".join(h.passage.id for h in answer.hits) == "abcxy"


class Stuck(SlowDrafter):
    """Says some words of its draft at once, and then nothing any more."""

    def __init__(self, text: str, words: int) -> None:
        super().__init__(text)
        self._words = words
        self._sleep = self._stick
        self.go.set()

    async def _stick(self, _seconds: float) -> None:
        self._words -= 1
        if self._words < 0:
            await asyncio.Event().wait()


@pytest.mark.parametrize("mode", list(Drafting))
@pytest.mark.parametrize("words", [0, 3])
@pytest.mark.parametrize("trained", [True, False])
async def test_a_draft_that_takes_too_long_is_stopped_and_the_question_s_own_passages_are_answered_from(
    mode: Drafting, words: int, trained: bool
) -> None:
    """Whether the drafter says nothing at all or breaks off within its draft, and with whatever policy."""
    hung = Bench("abcde", "vwxyz", mode)
    hung.drafter = drafter = Stuck("Rebuffering > Formula of the ratio", words)
    hung.pipeline = AnsweringPipeline(
        drafter=drafter, answerer=hung.answerer, retriever=hung.retriever, calibrations=HONEST_TITLE,
        options=AnsweringOptions(
            mode=Mode.COMBINED, drafting=mode, draft_wait=0.01, trained_drafter=trained
        ),
        clock=lambda: 0.0,
    )  # fmt: skip
    before = asyncio.all_tasks()
    with capture_logs() as logs:
        _, answer = await hung.run()
    assert answer.text == "It says 5 [1]."
    assert "".join(h.passage.id for h in answer.hits) == "abcde"
    assert (answer.draft, answer.speculation) == (None, Speculation("late"))
    assert answer.timings.draft is not None
    assert drafter.abandoned == 1  # the server was told to stop
    assert (len(hung.answerer.requests), hung.answerer.abandoned) == (1, 0)
    assert [(line["model"], line["pieces"]) for line in logs if line["event"] == "draft_late"] == [("drafter", words)]
    assert asyncio.all_tasks() == before


class Waiting(Bench):
    """On a clock that is moved by hand, with ten seconds for a draft."""

    def __init__(self, mode: Drafting, draft: str = "Rebuffering > Formula", *, trained: bool = True) -> None:
        super().__init__("abcde", "vwxyz", mode)
        self.now = 0.0
        self.drafter = SlowDrafter(draft)
        self.pipeline = AnsweringPipeline(
            drafter=self.drafter, answerer=self.answerer, retriever=self.retriever, calibrations=HONEST_TITLE,
            options=AnsweringOptions(mode=Mode.COMBINED, drafting=mode, draft_wait=10, trained_drafter=trained),
            clock=lambda: self.now,
        )  # fmt: skip

    async def pass_four_seconds(self, _seconds: float) -> None:
        self.now += 4


@pytest.mark.parametrize("mode", list(Drafting))
async def test_a_draft_is_late_by_the_question_s_clock_even_if_no_timer_could_say_so(mode: Drafting) -> None:
    """An event loop that stands still runs no timers: what comes when it goes on again would seem to be in time."""
    bench = Waiting(mode)
    bench.drafter._sleep = bench.pass_four_seconds
    with capture_logs() as logs:
        _, answer = await bench.run()
    assert (answer.draft, answer.speculation) == (None, Speculation("late"))
    assert [line["pieces"] for line in logs if line["event"] == "draft_late"] == [2]
    assert bench.drafter.abandoned == 1
    assert answer.timings.draft == 12_000


async def test_the_wait_for_a_draft_counts_from_the_question() -> None:
    """Whatever passed before the drafter could be asked, here until a platform had shown a status line."""
    bench = Waiting(Drafting.ALWAYS)
    bench.drafter.go.set()
    async for event in bench.pipeline.answer("What is the window?", tenant="acme"):
        if event == StageStarted(Stage.DRAFTING):
            bench.now = 12
    assert isinstance(event, AnswerReady)
    assert event.answer.speculation == Speculation("late")
    assert bench.drafter.requests == []


async def test_a_follow_up_s_rewriting_counts_too() -> None:
    bench = Waiting(Drafting.GATED)
    bench.drafter.go.set()
    rewriter = ScriptedChatModel(["What is the default window of alerts?"], sleep=bench.pass_four_seconds)
    bench.pipeline._rewriter = rewriter
    history = [Turn("What is an alert?", "A rule.")]
    events = [event async for event in bench.pipeline.answer("And its window?", tenant="acme", history=history)]
    assert isinstance(events[-1], AnswerReady)
    assert events[-1].answer.speculation == Speculation("late")


@pytest.mark.parametrize("mode", [Drafting.GATED, Drafting.SPECULATIVE])
async def test_a_draft_is_not_charged_with_a_search_that_takes_longer(mode: Drafting) -> None:
    """It was there after two seconds; the search that it waited for came after fourteen."""
    bench = Waiting(mode)
    searched = asyncio.Event()
    find = bench.retriever.find

    async def slowly(question: str, *, tenant: str, k: int) -> Findings:
        await searched.wait()
        return await find(question, tenant=tenant, k=k)

    async def read() -> Answer:
        events = [event async for event in bench.pipeline.answer("What is the window?", tenant="acme")]
        assert isinstance(events[-1], AnswerReady)
        return events[-1].answer

    bench.retriever.find = slowly  # type: ignore[method-assign]
    reading = asyncio.create_task(read())
    await settle()
    bench.now = 2
    bench.drafter.go.set()
    await settle()
    bench.now = 14
    searched.set()
    answer = await reading
    assert answer.timings.draft == 2_000
    assert answer.draft is not None


async def test_an_error_of_a_drafter_s_own_is_not_taken_for_a_late_draft() -> None:
    """Only the wait for it is forgiven."""

    class Broken(SlowDrafter):
        async def check(self) -> None:
            raise TimeoutError("within")

    bench = Bench("abcde", "vwxyz", Drafting.ALWAYS)
    bench.drafter = Broken("x")
    bench.pipeline = AnsweringPipeline(drafter=bench.drafter, answerer=bench.answerer, retriever=bench.retriever)
    with pytest.raises(TimeoutError, match="within"):
        await bench.run()


def test_what_is_sure_and_what_is_unchanged() -> None:
    assert sure((hit("a", 1, 3),))
    assert not sure((hit("a", 1, 4),))
    assert not sure((hit("a", 1),))
    assert not sure(())
    assert sure((hit("a", 1, 4),), rank=4)
    assert not sure((hit("a", 1, 1),), rank=0)
    assert unchanged(hits("abcde"), hits("edcba"))
    assert unchanged(hits("abcde"), hits("abcdx"))
    assert not unchanged(hits("abcde"), hits("abcxy"))
    assert not unchanged(hits("abcde"), hits("xabcd"))
    assert not unchanged((), hits("a"))
    assert unchanged(hits("abcde"), hits("abcxy"), changed=2)
    assert not unchanged(hits("abcde"), hits("abcdx"), changed=0)
    assert "".join(h.passage.id for h in in_cache_order(hits("abcde"), hits("xbae"))) == "abxe"
