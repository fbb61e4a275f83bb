"""The console's API from the browser's side."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.conversation import MAX_QUESTION_CHARS
from bot.messages import Apology, Platform, Way
from bot.web.handlers import GONE, NOT_YOURS
from pipeline.types import Document, Stage, StageStarted
from tests.fakes import web_sample as sample
from tests.fakes.web_console import Console, console_with, read_events
from tests.fakes.web_store import Script, Step


class TestStart:
    async def test_it_suggests_questions(self, console: Console) -> None:
        shown = await (await console.browser.get("/api/start")).json()
        assert shown == {"suggestions": [sample.QUESTION], "max_question_chars": MAX_QUESTION_CHARS}

    async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(self, console: Console) -> None:
        cookie = (await console.browser.get("/api/start")).headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie

    async def test_a_person_stays_the_same(self, console: Console) -> None:
        first = (await console.browser.get("/api/start")).cookies["promptai_person"].value
        assert (await console.browser.get("/api/start")).cookies["promptai_person"].value == first

    async def test_a_cookie_that_is_none_of_ours_is_replaced(self, console: Console) -> None:
        console.browser.session.cookie_jar.clear()
        response = await console.browser.get("/api/start", headers={"Cookie": "promptai_person=guess"})
        assert len(response.cookies["promptai_person"].value) == 43

    async def test_the_page_itself_sets_no_cookie(self, console: Console) -> None:
        """Coming from a link elsewhere, a Strict cookie is not sent: setting one here would replace the person."""
        response = await console.browser.get("/")
        assert response.status == 200
        assert "Set-Cookie" not in response.headers


class TestAsk:
    async def test_a_question_begins_a_conversation_and_is_accepted(self, console: Console) -> None:
        ids = await console.ask("  Why?  ")
        question = console.store.rows[ids["question_id"]].question
        assert (question.text, question.platform, question.tenant) == ("Why?", Platform.WEB, sample.TENANT)
        assert question.conversation == question.thread == ids["conversation"]

    async def test_a_follow_up_stays_in_the_conversation(self, console: Console) -> None:
        first = await console.answered("Why?")
        second = await console.answered("And then?", conversation=first["conversation"])
        assert second["conversation"] == first["conversation"]
        assert [e["text"] for e in await console.exchanges(first["conversation"])] == ["Why?", "And then?"]

    async def test_a_question_sent_twice_is_asked_once(self, console: Console) -> None:
        first = await console.ask("Why?", message="message-1")
        assert await console.ask("Why?", message="message-1", conversation=first["conversation"]) == first
        assert await console.ask("Why?", message="message-1") == first, (
            "the page may not have heard of the conversation"
        )
        assert len(console.store.rows) == 1

    async def test_the_same_words_asked_again_are_another_question(self, console: Console) -> None:
        first = await console.ask("Why?")
        again = await console.ask("Why?", conversation=first["conversation"])
        assert again["question_id"] != first["question_id"]

    async def test_forty_thousand_characters_are_accepted(self, console: Console) -> None:
        ids = await console.ask("é" * 40_000)
        assert len(console.store.rows[ids["question_id"]].question.text) == 40_000

    @pytest.mark.parametrize("text", ["", "  \n "])
    async def test_an_empty_question_is_refused_kindly(self, console: Console, text: str) -> None:
        response = await console.browser.post("/api/questions", json={"text": text})
        assert response.status == 400
        assert "Type a question first" in (await response.json())["error"]["message"]

    async def test_somebody_elses_conversation_takes_no_question(self, console: Console) -> None:
        ids = await console.ask()
        other = await console.new_browser()
        response = await other.post("/api/questions", json={"text": "why?", "conversation": ids["conversation"]})
        assert response.status == 404
        assert (await response.json())["error"]["message"] == NOT_YOURS
        assert len(console.store.rows) == 1

    async def test_without_a_cookie_nothing_is_accepted(self, console: Console) -> None:
        console.browser.session.cookie_jar.clear()
        response = await console.browser.post("/api/questions", json={"text": "why?"})
        assert response.status == 401
        assert "Reload" in (await response.json())["error"]["message"]


class Gate:
    """A script that waits at each step until it is let go on."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        self.open = asyncio.Event()

    def script(self) -> Script:
        async def play(_question: Any) -> Any:
            for step in self.steps[:-1]:
                yield step
            await self.open.wait()
            yield self.steps[-1]

        return play


class TestEvents:
    async def test_they_tell_the_whole_way_of_an_answer(self, console: Console) -> None:
        events = await read_events(await console.events(await console.ask()))
        name, reply = events[-1]
        assert (name, reply["text"]) == ("answer", sample.ANSWER_TEXT)

    async def test_a_reader_sees_the_text_before_the_answer_is_whole(self) -> None:
        gate = Gate(StageStarted(Stage.ANSWERING), "It is ", "ten", sample.answer())
        async with console_with(gate.script()) as console, asyncio.timeout(5):
            response = await console.events(await console.ask())
            early = await read_events(response, until="text")
            gate.open.set()
            late = await read_events(response)
        assert early == [("status", {"stage": "answering"}), ("text", {"text": "It is ten", "replace": True})]
        assert [name for name, _ in late] == ["answer"]

    async def test_a_second_reader_gets_the_state_so_far(self) -> None:
        gate = Gate(StageStarted(Stage.ANSWERING), "It is ", sample.answer())
        async with console_with(gate.script()) as console, asyncio.timeout(5):
            ids = await console.ask()
            first = await read_events(await console.events(ids), until="text")
            second = await read_events(await console.events(ids), until="text")
            gate.open.set()
        assert second == first

    async def test_after_a_restart_the_stored_answer_is_sent(self, console: Console) -> None:
        ids = await console.ask()
        await console.answerer.done()
        console.delivery.hub._entries.clear()  # what a restart leaves of the hub
        events = await read_events(await console.events(ids))
        assert [name for name, _ in events] == ["answer"]
        assert events[0][1]["draft"]["text"].startswith("Five metrics")

    async def test_after_a_restart_the_stored_apology_is_sent(self) -> None:
        async with console_with(Gate(Apology("Sorry.", "e-1")).script()) as console:
            ids = await console.ask()
            console.store.finish(ids["question_id"], "r-1", apology="Sorry. (error e-1)")
            console.delivery.hub._entries.clear()
            events = await read_events(await console.events(ids))
        assert events == [("apology", {"text": "Sorry. (error e-1)", "error_id": None})]

    async def test_an_apology_carries_its_error_id(self) -> None:
        gate = Gate(StageStarted(Stage.DRAFTING), Apology("The model is down.", "e-42"))
        async with console_with(gate.script()) as console:
            ids = await console.ask()
            gate.open.set()
            events = await read_events(await console.events(ids))
        assert events[-1] == ("apology", {"text": "The model is down.", "error_id": "e-42"})

    async def test_another_browser_reads_nothing(self, console: Console) -> None:
        ids = await console.answered()
        other = await console.new_browser()
        response = await other.get(f"/api/questions/{ids['question_id']}/events?conversation={ids['conversation']}")
        assert response.status == 404

    async def test_a_question_of_another_conversation_is_not_there(self, console: Console) -> None:
        first, second = await console.answered("One?"), await console.answered("Two?")
        mixed = {"question_id": first["question_id"], "conversation": second["conversation"]}
        assert (await console.events(mixed)).status == 404

    async def test_a_reader_who_leaves_frees_the_server(self) -> None:
        gate = Gate("It is ", sample.answer())
        async with console_with(gate.script()) as console, asyncio.timeout(5):
            ids = await console.ask()
            response = await console.events(ids)
            await read_events(response, until="text")
            (entry,) = console.delivery.hub._entries.values()
            assert len(entry.watches) == 1
            response.close()
            while entry.watches:
                await asyncio.sleep(0.01)

    async def test_stopping_the_server_does_not_wait_for_readers(self) -> None:
        gate = Gate("It is ", sample.answer())
        async with console_with(gate.script()) as console, asyncio.timeout(5):
            response = await console.events(await console.ask())
            await read_events(response, until="text")
            await console.adapter.close()
            assert await read_events(response) == []


class TestConversation:
    async def test_it_shows_what_was_asked_and_answered(self, console: Console) -> None:
        exchange = await console.answered()
        assert exchange["text"] == sample.QUESTION
        assert exchange["reply"]["citations"][0]["location"] == "guides/live-events.md#the-five-numbers-to-watch"

    async def test_another_browser_reads_nothing(self, console: Console) -> None:
        exchange = await console.answered()
        other = await console.new_browser()
        response = await other.get(f"/api/conversations/{exchange['conversation']}")
        assert response.status == 404
        assert (await response.json())["error"]["message"] == NOT_YOURS

    async def test_a_guessed_id_opens_nothing(self, console: Console) -> None:
        assert (await console.browser.get("/api/conversations/c-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")).status == 404


class TestVote:
    async def test_a_thumb_is_a_rating_and_still_there_later(self, console: Console) -> None:
        exchange = await console.answered()
        await console.vote(exchange, "up")
        (rating,) = console.store.ratings
        assert (rating.gesture, rating.way, rating.removed) == ("up", Way.BUTTON, False)
        assert (await console.exchanges(exchange["conversation"]))[0]["reply"]["vote"] == "up"

    async def test_changing_ones_mind_takes_the_first_thumb_back(self, console: Console) -> None:
        exchange = await console.answered()
        await console.vote(exchange, "up")
        await console.vote(exchange, "down")
        assert [(r.gesture, r.removed) for r in console.store.ratings] == [("up", False), ("up", True), ("down", False)]
        assert (await console.exchanges(exchange["conversation"]))[0]["reply"]["vote"] == "down"

    async def test_a_thumb_can_be_taken_back(self, console: Console) -> None:
        exchange = await console.answered()
        await console.vote(exchange, "down")
        await console.vote(exchange, None)
        assert (await console.exchanges(exchange["conversation"]))[0]["reply"]["vote"] is None

    async def test_taking_back_what_was_never_given_records_nothing(self, console: Console) -> None:
        await console.vote(await console.answered(), None)
        assert console.store.ratings == []

    async def test_two_quick_clicks_leave_one_vote(self, console: Console) -> None:
        exchange = await console.answered()
        await asyncio.gather(console.vote(exchange, "up"), console.vote(exchange, "down"))
        standing = [g for g in console.store.rows[exchange["question_id"]].gestures.values() if not g[2]]
        assert len(standing) == 1

    async def test_a_reply_that_is_not_there_cannot_be_rated(self, console: Console) -> None:
        exchange = await console.answered()
        body = {"conversation": exchange["conversation"], "vote": "up"}
        response = await console.browser.put("/api/answers/r-unknown/vote", json=body)
        assert response.status == 404

    async def test_another_browser_cannot_rate(self, console: Console) -> None:
        exchange = await console.answered()
        other = await console.new_browser()
        body = {"conversation": exchange["conversation"], "vote": "up"}
        response = await other.put(f"/api/answers/{exchange['reply']['reply_id']}/vote", json=body)
        assert response.status == 404
        assert console.store.ratings == []


class TestDocument:
    async def test_it_opens_at_the_passage(self, console: Console) -> None:
        exchange = await console.answered()
        cited = exchange["reply"]["citations"][0]["passage_id"]
        shown = await (await console.browser.get(f"/api/documents/{cited}")).json()
        assert (shown["title"], shown["location"]) == ("Live events", "guides/live-events.md")
        first, last = shown["lines"]
        lines = shown["text"].split("\n")
        assert lines[first] == "## The five numbers to watch"
        assert "\n".join(lines[first : last + 1]) == shown["passage"]["text"]

    async def test_a_passage_that_has_gone_says_so(self, console: Console) -> None:
        response = await console.browser.get("/api/documents/gone")
        assert response.status == 404
        assert (await response.json())["error"]["message"] == GONE

    async def test_another_tenants_document_is_not_there(self, console: Console) -> None:
        secret: Document = sample.document("secret.md", "# Secret\n\nNothing to see.", tenant="rival")
        (passage,) = sample.passages_of(secret)
        console.library.documents[secret.id] = secret
        console.library.passages[passage.id] = passage
        assert (await console.browser.get(f"/api/documents/{passage.id}")).status == 404
