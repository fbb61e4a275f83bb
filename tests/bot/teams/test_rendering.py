"""Replies -> activities, as they go over the wire."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bot.messages import Apology, Reply
from bot.teams import rendering
from pipeline.types import Citation, Draft, DraftReady, PassagesFound, Stage, StageStarted
from tests.fakes.samples import ANSWER, HIT, PASSAGE

LIMIT = 100_000


def wire(activity: Any) -> dict[str, Any]:
    """What msrest makes of it: fields that it does not know are dropped here, as in production."""
    sent: dict[str, Any] = activity.serialize()
    return sent


def render(**changes: Any) -> list[dict[str, Any]]:
    notice = changes.pop("notice", None)
    return [wire(activity) for activity in rendering.answer(Reply("a1", replace(ANSWER, **changes), notice))]


def claims(message: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = message["entities"][0]["citation"]
    return found


def test_an_answer_is_one_markdown_message_labelled_as_generated_with_its_citation() -> None:
    """Exactly the entity that Teams documents; a plain `Entity` would lose all of it."""
    [message] = render()
    assert (message["type"], message["textFormat"], message["text"]) == (
        "message",
        "markdown",
        "It is ten seconds [1].",
    )
    assert message["entities"] == [
        {
            "type": "https://schema.org/Message",
            "@type": "Message",
            "@context": "https://schema.org",
            "additionalType": ["AIGeneratedContent"],
            "citation": [
                {
                    "@type": "Claim",
                    "position": 1,
                    "appearance": {
                        "@type": "DigitalDocument",
                        "name": "Page",
                        "abstract": "page.md#a: It is ten seconds.",
                    },
                }
            ],
        }
    ]
    assert message["channelData"] == {"feedbackLoop": {"type": "default"}}


def test_an_abstention_is_labelled_and_cites_nothing() -> None:
    """It can be rated as well."""
    [message] = render(text="The documentation does not say.", abstained=True, citations=(), hits=())
    assert message["entities"][0]["additionalType"] == ["AIGeneratedContent"]
    assert "citation" not in message["entities"][0]
    assert message["channelData"] == {"feedbackLoop": {"type": "default"}}


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("https://docs.example/page#a", "https://docs.example/page#a"),
        ("http://docs.example/", "http://docs.example/"),
        ("page.md", None),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("https://", None),
        ("https://[bad", None),
        ("file:///etc/passwd", None),
        ("https://docs.example/" + "x" * 2_000, None),
    ],
)
def test_only_web_addresses_become_links(location: str, url: str | None) -> None:
    """Anything else is named in the abstract, so that people can still find it."""
    [message] = render(citations=(Citation(1, "Page", location, "p1"),))
    appearance = claims(message)[0]["appearance"]
    assert appearance.get("url") == url
    assert url or appearance["abstract"].startswith(location[:100])


def test_names_and_abstracts_keep_teams_limits() -> None:
    """80 and 160 characters, plain, on one line, never empty."""
    passage = replace(PASSAGE, text="line\n<at>x</at> \x00" + "y" * 500)
    title = "T" * 200
    [message] = render(
        citations=(Citation(1, title, "https://x.example", "p1"),), hits=(replace(HIT, passage=passage),)
    )
    appearance = claims(message)[0]["appearance"]
    assert appearance["name"] == "T" * 79 + "…"
    assert len(appearance["abstract"]) == 160
    assert appearance["abstract"].startswith("line at x /at yyy")
    [bare] = render(citations=(Citation(1, "", "https://x.example", "missing"),), hits=())
    assert claims(bare)[0]["appearance"]["name"] == "https://x.example"
    assert claims(bare)[0]["appearance"]["abstract"]


def test_citations_beyond_twenty_are_listed_below_the_answer() -> None:
    """Teams takes no more than 20; the others are not lost."""
    citations = tuple(Citation(n, f"Page {n}", f"https://x.example/{n}", "p1") for n in range(1, 26))
    [message] = render(text=" ".join(f"[{n}]" for n in range(1, 26)), citations=citations)
    assert [claim["position"] for claim in claims(message)] == list(range(1, 21))
    for n in range(21, 26):
        assert f"[{n}] Page {n} (https://x.example/{n})" in message["text"]


def test_a_notice_stands_below_the_answer() -> None:
    """For example that a long question was cut; above, it would contradict what a stream has shown."""
    [message] = render(notice="I read the first 8,000 characters.")
    assert message["text"] == "It is ten seconds [1].\n\n_I read the first 8,000 characters._"


def test_model_output_is_neutralised_in_every_kind_of_message() -> None:
    """The answer, the answer so far, the notice and the apology."""
    hostile = "<at>all</at> [good](https://evil.example)"
    texts = [
        render(text=hostile)[0]["text"],
        render(notice=hostile)[0]["text"],
        wire(rendering.unfinished(hostile))["text"],
        wire(rendering.apology(Apology(hostile, "e1")))["text"],
    ]
    for text in texts:
        assert "<" not in text
        assert "](" not in text


@pytest.mark.parametrize("letter", ["x", "é", "漢", "🙂", "عر "])
def test_a_long_answer_is_several_messages_below_the_limit_with_nothing_lost(letter: str) -> None:
    """Whatever it is written in, and with as many citations as fit."""
    long_title, url = "漢" * 300, "https://x.example/" + "y" * 900
    citations = tuple(Citation(n, long_title, url, "p1") for n in range(1, 21))
    marks = " ".join(f"[{n}]" for n in range(1, 21))
    text = "\n\n".join(f"{marks} {number} " + letter * 900 for number in range(40))
    hits = (replace(HIT, passage=replace(PASSAGE, text="漢" * 900)),)
    messages = render(text=text, citations=citations, hits=hits)
    assert len(messages) > 1
    assert all(len(json.dumps(m, ensure_ascii=False).encode("utf-16-le")) < LIMIT for m in messages)
    assert "".join("".join(m["text"].split()) for m in messages) == "".join(text.split())


def test_a_split_answer_can_be_rated_on_each_message_and_cites_where_it_says() -> None:
    """People read to the end; a citation belongs to the part that holds its number."""
    text = "[1] " + "first " * 4_000 + "\n\n[2] " + "second " * 4_000
    citations = (Citation(1, "One", "https://x.example/1", "p1"), Citation(2, "Two", "https://x.example/2", "p1"))
    messages = render(text=text, citations=citations)
    assert all(m["channelData"] == {"feedbackLoop": {"type": "default"}} for m in messages)
    assert [claim["position"] for claim in claims(messages[0])] == [1]
    assert any([claim["position"] for claim in m["entities"][0].get("citation", [])] == [2] for m in messages[1:])
    assert all(m["entities"][0]["additionalType"] == ["AIGeneratedContent"] for m in messages)


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (StageStarted(Stage.DRAFTING), "_Thinking about your question…_"),
        (StageStarted(Stage.RETRIEVING), "_Searching the documentation…_"),
        (DraftReady(Draft("d", "m")), "_Searching the documentation…_"),
        (PassagesFound((HIT, HIT)), "_Reading 2 passages…_"),
        (PassagesFound((HIT,)), "_Reading 1 passage…_"),
        (PassagesFound(()), "_Found no passage…_"),
        (StageStarted(Stage.ANSWERING), "_Writing the answer…_"),
    ],
)
def test_status_lines_say_what_is_going_on(progress: Any, line: str) -> None:
    """In plain words, never the draft itself; with the buttons, which an update alone may not bring."""
    shown = wire(rendering.status(rendering.status_line(progress)))
    assert shown["channelData"] == {"feedbackLoop": {"type": "default"}}
    assert shown["text"] == line


def test_an_unfinished_answer_shows_that_more_is_to_come_and_fits_one_message() -> None:
    """No label yet."""
    message = wire(rendering.unfinished("It is ```\ncode"))
    assert message["text"].endswith("_…_")
    assert "entities" not in message
    assert len(wire(rendering.unfinished("x" * 99_000))["text"]) < 25_000


def test_an_apology_names_the_error_and_is_not_labelled_as_generated() -> None:
    """People wrote it."""
    message = wire(rendering.apology(Apology("Please try again in a minute.", "e-123")))
    assert message["text"] == "Please try again in a minute.\n\nError id: `e-123`"
    assert "entities" not in message
    assert "channelData" not in message


def test_typing_is_typing() -> None:
    """No text."""
    assert wire(rendering.typing()) == {"type": "typing"}


def test_the_largest_message_is_below_teams_limit() -> None:
    """100 KB in UTF-16, with twenty citations as long as they may be and a stream's end."""
    text = " ".join(f"[{number}]" for number in range(1, 21)) + " " + "word " * 3_800
    address = "https://x.example/" + "a" * 900
    citations = tuple(Citation(number, "T" * 100, f"{address}{number}", "p1") for number in range(1, 21))
    [message] = rendering.answer(Reply("a1", replace(ANSWER, text=text, citations=citations)))
    sent = wire(rendering.stream_end(message, "s" * 100))
    assert len(json.dumps(sent, ensure_ascii=False).encode("utf-16-le")) < 100 * 1024


def test_ending_a_stream_leaves_the_message_as_it_was() -> None:
    """It may have to be sent in another way."""
    [message] = rendering.answer(Reply("a1", ANSWER))
    before = wire(message)
    assert len(wire(rendering.stream_end(message, "s1"))["entities"]) == 2
    assert wire(message) == before


def test_a_streams_lines_are_short_enough() -> None:
    """Teams takes a thousand characters."""
    assert all(len(line) < 1_000 for line in (rendering.OPENING, *rendering.STAGES.values()))
