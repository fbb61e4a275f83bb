"""A headless Chromium uses the console; the answers come from a script, everything else is real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from bot.messages import Apology, Question
from pipeline.types import DraftReady, PassagesFound, Stage, StageStarted
from tests.fakes import web_sample as sample
from tests.fakes.web_console import Console, console_with, free_port
from tests.fakes.web_store import Step, playing, steps_of
from tests.real.console.pages import ask, open_page

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

QUESTION = sample.QUESTION


def address(console: Console) -> str:
    return str(console.server.make_url("/"))


class Script:
    """Plays an answer and waits before its end until it is let go on."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        self.go_on = asyncio.Event()

    async def __call__(self, _question: Question) -> AsyncIterator[Step]:
        for step in self.steps[:-1]:
            yield step
        await self.go_on.wait()
        yield self.steps[-1]


async def test_a_question_is_answered_cited_rated_and_still_there_after_a_reload(chromium: Any) -> None:
    script = Script(*steps_of(sample.answer()))
    async with console_with(script) as console, open_page(chromium, address(console)) as page:
        await ask(page, QUESTION)
        await page.wait_for_selector('[data-state="streaming"] .prose table')
        assert "Watch these five metrics" in await page.inner_text(".prose")
        assert await page.locator("button.cite").count() == 0, "numbers may change until the answer is whole"
        script.go_on.set()

        await page.wait_for_selector('.exchange[data-state="answered"]')
        await page.click("button.cite >> nth=0")
        await page.wait_for_selector("#panel .evidence")
        evidence = await page.inner_text("#panel .evidence")
        assert evidence.startswith("The five numbers to watch")
        assert "After the event" not in evidence
        seen = await page.evaluate(
            "(() => { const box = document.querySelector('.evidence').getBoundingClientRect();"
            " return box.top > 0 && box.top < innerHeight / 2; })()"
        )
        assert seen, "the panel is scrolled to the passage"
        await page.keyboard.press("Escape")
        assert await page.locator("#panel").is_hidden()

        await page.click("text=How this was found")
        trace = await page.inner_text(".trace")
        for part in ("Five metrics matter", "dense(draft)", "0.0489", "870 ms", "llama-3.3-70b-instruct"):
            assert part in trace

        await page.click(".thumb-up")
        await page.wait_for_selector("text=Thank you, noted.")
        await page.reload()
        await page.wait_for_selector('.exchange[data-state="answered"]')
        assert await page.get_attribute(".thumb-up", "aria-pressed") == "true"
        assert await page.get_attribute(".thumb-down", "aria-pressed") == "false"
        assert await page.inner_text(".bubble") == QUESTION
        await page.click("text=How this was found")
        assert "Five metrics matter" in await page.inner_text(".draft")


async def test_every_step_is_shown_while_it_happens(chromium: Any) -> None:
    answer = sample.answer()
    assert answer.draft is not None
    script = Script(
        StageStarted(Stage.DRAFTING), DraftReady(answer.draft), StageStarted(Stage.RETRIEVING),
        PassagesFound(answer.hits), StageStarted(Stage.ANSWERING), answer,
    )  # fmt: skip
    async with console_with(script) as console, open_page(chromium, address(console)) as page:
        await ask(page, QUESTION)
        await page.wait_for_selector("text=Writing the answer")
        await page.click("text=How this was found")
        assert await page.locator(".passage").count() == 5
        assert "Five metrics matter" in await page.inner_text(".draft")
        assert await page.inner_text("#live") == "Writing the answer"
        script.go_on.set()
        await page.wait_for_selector(".sources")
        assert await page.inner_text("#live") == "The answer is ready."


async def test_a_follow_up_stays_and_a_new_conversation_begins_empty(chromium: Any) -> None:
    async with (
        console_with(playing(*steps_of(sample.answer()))) as console,
        open_page(chromium, address(console)) as page,
    ):
        assert await page.inner_text(".suggestion") == QUESTION
        await page.click(".suggestion")
        await page.wait_for_selector(".sources")
        await ask(page, "And for how long are they kept?")
        await page.wait_for_selector(".exchange:nth-child(2) .sources")
        assert len({row.question.conversation for row in console.store.rows.values()}) == 1
        await page.click("#new")
        assert await page.locator(".exchange").count() == 0
        assert "#" not in page.url
        await page.click("#recent-list a")
        await page.wait_for_selector(".exchange:nth-child(2) .sources")


async def test_a_thumb_can_be_changed_and_taken_back(chromium: Any) -> None:
    async with (
        console_with(playing(*steps_of(sample.answer()))) as console,
        open_page(chromium, address(console)) as page,
    ):
        await ask(page, QUESTION)
        await page.click(".thumb-up")
        await page.click(".thumb-down")
        await page.wait_for_selector(".thumb-down[aria-pressed=true]")
        await page.click(".thumb-down")
        await page.wait_for_selector("text=Taken back.")
        given = [(rating.gesture, rating.removed) for rating in console.store.ratings]
        assert given == [("up", False), ("up", True), ("down", False), ("down", True)]


async def test_an_apology_is_kind_and_asking_again_works(chromium: Any) -> None:
    steps: list[list[Step]] = [[Apology("The model cannot be reached.", "e-77")], steps_of(sample.answer())]

    async def script(_question: Question) -> AsyncIterator[Step]:
        for step in steps.pop(0):
            yield step

    async with console_with(script) as console, open_page(chromium, address(console)) as page:
        await ask(page, QUESTION)
        apology = await page.inner_text(".apology")
        assert "The model cannot be reached." in apology
        assert "e-77" in apology
        await page.click("text=Ask again")
        await page.wait_for_selector(".sources")
        assert await page.locator(".apology").count() == 0


async def test_a_server_that_is_gone_loses_no_question(chromium: Any) -> None:
    async with (
        console_with(playing(*steps_of(sample.answer()))) as console,
        open_page(chromium, address(console), expect_errors=True) as page,
    ):
        await page.route("**/api/questions", lambda route: route.abort())
        await ask(page, QUESTION)
        assert "cannot be reached" in await page.inner_text(".apology")
        await page.unroute("**/api/questions")
        await page.click("text=Ask again")
        await page.wait_for_selector(".sources")
        assert len(console.store.rows) == 1


async def test_a_server_that_restarts_in_the_middle_is_found_again(chromium: Any) -> None:
    port, script = free_port(), Script(StageStarted(Stage.ANSWERING), "Watch these", sample.answer())
    async with console_with(script, port=port) as first, AsyncExitStack() as stack:
        page = await stack.enter_async_context(open_page(chromium, address(first), expect_errors=True))
        await ask(page, QUESTION)
        await page.wait_for_selector('[data-state="streaming"]')
        await first.answerer.close()
        await first.server.close()
        await page.wait_for_selector("text=The connection was lost")
        (question_id,) = first.store.rows
        first.store.finish(question_id, "r-1", answer=sample.answer())
        async with console_with(script, store=first.store, port=port):
            await page.wait_for_selector('.exchange[data-state="answered"]', timeout=30_000)
            assert await page.locator(".status").is_hidden()


async def test_a_document_that_has_changed_still_shows_what_was_read(chromium: Any) -> None:
    async with (
        console_with(playing(*steps_of(sample.answer()))) as console,
        open_page(chromium, address(console), expect_errors=True) as page,
    ):
        await ask(page, QUESTION)
        await page.wait_for_selector(".sources")
        console.library.passages.clear()
        await page.click(".source >> nth=1")
        await page.wait_for_selector("#panel .evidence")
        panel = await page.inner_text("#panel")
        assert "has changed since" in panel
        assert "Quality alerts use a window of 5 minutes" in panel


async def test_the_keyboard_is_enough(chromium: Any) -> None:
    async with (
        console_with(playing(*steps_of(sample.answer()))) as console,
        open_page(chromium, address(console)) as page,
    ):
        await page.keyboard.type("First line")
        await page.keyboard.press("Shift+Enter")
        await page.keyboard.type("second line")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".sources")
        assert next(iter(console.store.rows.values())).question.text == "First line\nsecond line"
        await page.focus("button.cite >> nth=1")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#panel .evidence")
        assert await page.evaluate("document.activeElement.closest('#panel') !== null")
        await page.keyboard.press("Escape")
        assert await page.evaluate("document.activeElement.classList.contains('cite')")


async def test_a_conversation_of_another_browser_is_declined_kindly(chromium: Any) -> None:
    async with console_with(playing(*steps_of(sample.answer()))) as console:
        ids = await console.ask()
        url = address(console) + "#" + ids["conversation"]
        async with open_page(chromium, url, expect_errors=True) as page:
            await page.wait_for_selector("#notice:not([hidden])")
            assert "another browser" in await page.inner_text("#notice")
            assert await page.locator(".suggestion").count() == 1


async def test_it_fits_a_telephone(chromium: Any) -> None:
    screen = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
    async with (
        console_with(playing(*steps_of(sample.answer()))) as console,
        open_page(chromium, address(console), **screen) as page,
    ):
        await ask(page, QUESTION)
        await page.wait_for_selector(".sources")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        await page.click("text=How this was found")
        assert await page.evaluate("document.querySelector('.thread').scrollWidth <= innerWidth")
        await page.click("button.cite >> nth=0")
        await page.wait_for_selector("#panel .evidence")
        assert await page.evaluate("document.getElementById('panel').getBoundingClientRect().width") == 360
        await page.keyboard.press("Escape")
        await page.click("#menu")
        await page.click("#new")
        await page.wait_for_selector(".suggestion")


CONTRAST = """
() => {
  const probe = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = (colour) => {
    probe.clearRect(0, 0, 1, 1); probe.fillStyle = colour; probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (element.matches(":disabled, .visually-hidden, .visually-hidden *")) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) poor.push(`${element.className || element.tagName}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(poor)];
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_has_enough_contrast(chromium: Any, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    async with (
        console_with(playing(*steps_of(sample.answer()))) as console,
        open_page(chromium, address(console), color_scheme=scheme) as page,
    ):
        await page.wait_for_selector(".suggestion")
        assert await page.evaluate(CONTRAST) == []
        await ask(page, QUESTION)
        await page.click(".thumb-up")
        await page.click("text=How this was found")
        await page.click("button.cite >> nth=0")
        await page.wait_for_selector("#panel .evidence")
        await page.wait_for_timeout(300)  # colours fade in
        assert await page.evaluate(CONTRAST) == []
