"""Replies become Slack messages: whole, within the sizes, and with nothing alive that the model wrote."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from bot.messages import Apology, Reply, Vote
from bot.slack.incoming import button_value
from bot.slack.markdown import parse
from bot.slack.notation import mrkdwn, rich_text
from bot.slack.rendering import (
    ACTION_ID,
    PART_CHARS,
    SlackMessage,
    live_text,
    placeholder,
    render_apology,
    render_reply,
)
from bot.slack.spans import Block, Kind, Span
from bot.slack.splitting import split
from pipeline.types import Answer, Citation, Mode, Stage
from tests.fakes.samples import ANSWER
from tests.fakes.slack_api import BLOCK_TYPES, _malformed

REPLY_ID = "1700000000.000100"


def render(text: str, **changes: Any) -> list[SlackMessage]:
    return render_reply(Reply("a1", replace(ANSWER, text=text, **changes)), REPLY_ID)


def leaves(value: Any) -> list[dict[str, Any]]:
    """The innermost rich text elements."""
    if isinstance(value, dict):
        inner = value.get("elements")
        return [leaf for element in inner for leaf in leaves(element)] if inner else [value]
    return [leaf for element in value for leaf in leaves(element)]


def visible(message: SlackMessage) -> str:
    body = message.looks[0].blocks[0]
    return "\n".join("".join(leaf.get("text") or leaf["url"] for leaf in leaves(e)) for e in body["elements"])


HOSTILE = (
    "<!channel> <!here> <@U0VICTIM> <#C1> <!subteam^S1> <https://evil.example|your bank> @channel @here "
    "&lt;!channel&gt; [<!everyone>](https://evil.example) `<!channel>` **<@U0VICTIM>** "
    "[bank](https://evil.example/a|b) ![i](https://evil.example/<!channel>)\n\n"
    "```\n<!channel> <@U0VICTIM>\n```\n\n| <!channel> | <@U0VICTIM> |\n|---|---|\n| <https://evil.example\\|x> | y |\n\n"
    "````\n```\n<!channel>\n```\n````\n\n1. <@U0VICTIM>\n\n> <!here>\n\n# <!here>\n"
)


def test_hostile_output_pings_nobody_in_either_notation() -> None:
    (message,) = render(HOSTILE)
    for look in message.looks:
        angles = re.findall(r"<[^>]*>", look.text)
        assert all(re.fullmatch(r"<https?://[^|]+>", angle) for angle in angles), angles
        kinds = {leaf["type"] for block in look.blocks if block["type"] == "rich_text" for leaf in leaves(block)}
        assert kinds <= {"text", "link"}
    # Nothing is hidden either: the text is there, as text.
    assert "<!channel>" in visible(message)
    assert "&lt;!channel&gt;" in message.looks[-1].text


def test_no_link_hides_behind_another_text() -> None:
    (message,) = render(HOSTILE)
    for leaf in leaves(message.looks[0].blocks[0]):
        if leaf["type"] == "link":
            assert "text" not in leaf


def test_code_cannot_break_out_of_its_fence() -> None:
    text = mrkdwn(parse("````\na\n```\n*out*\n``` x\nb\n````"))
    assert text.count("```") == 2
    assert text.startswith("```\n")
    assert text.endswith("\n```")


def test_code_keeps_every_character_in_rich_text() -> None:
    code = "if a < b && c:\n\tprint('```')\n\n    # <!channel>"
    (message,) = render(f"````python\n{code}\n````")
    (block,) = [e for e in message.looks[0].blocks[0]["elements"] if e["type"] == "rich_text_preformatted"]
    assert block["elements"] == [{"type": "text", "text": code}]


def test_the_answer_is_followed_by_sources_disclaimer_and_thumbs() -> None:
    (message,) = render("It is ten seconds [1].")
    kinds = [block["type"] for block in message.looks[0].blocks]
    assert kinds == ["rich_text", "context", "context_actions"]
    assert "Sources\n[1] Page – page.md#a" in visible(message)
    assert "AI-generated, may be wrong" in json.dumps(message.looks[0].blocks[1])
    (thumbs,) = message.looks[0].blocks[2]["elements"]
    assert thumbs["action_id"] == ACTION_ID
    assert thumbs["positive_button"]["value"] == button_value(Vote.UP, REPLY_ID)
    assert thumbs["negative_button"]["value"] == button_value(Vote.DOWN, REPLY_ID)


def test_a_source_is_a_link_only_where_it_is_on_the_web_and_shows_its_address() -> None:
    citations = (
        Citation(1, "Alerts <!here>", "https://docs.example/alerts#a", "p1"),
        Citation(2, "Local", "javascript:alert(1)", "p2"),
        Citation(3, "", "pages/a.md", "p3"),
    )
    (message,) = render("x [1][2][3]", citations=citations)
    found = leaves(message.looks[0].blocks[0])
    assert [leaf["url"] for leaf in found if leaf["type"] == "link"] == ["https://docs.example/alerts#a"]
    assert "[1] Alerts <!here> – https://docs.example/alerts#a" in visible(message)
    assert "[2] Local – javascript:alert(1)" in visible(message)
    assert "[3] Untitled – pages/a.md" in visible(message)
    assert "[1] Alerts &lt;!here&gt; – <https://docs.example/alerts#a>" in message.looks[-1].text


def test_without_the_blocks_everything_is_still_there() -> None:
    (message,) = render("It is **ten** seconds [1].")
    with_thumbs, without_thumbs, plain = message.looks
    assert with_thumbs.blocks[:2] == without_thumbs.blocks
    assert plain.blocks == ()
    assert "It is *ten* seconds [1]." in plain.text
    assert "Page" in plain.text
    assert "AI-generated" in plain.text


def test_an_abstention_names_no_sources_but_can_be_rated() -> None:
    (message,) = render("The documentation does not say.", abstained=True, citations=(), models=("m",))
    assert "check the sources" not in message.looks[0].text
    assert [b["type"] for b in message.looks[0].blocks] == ["rich_text", "context", "context_actions"]


def test_a_help_line_of_ours_is_neither_generated_nor_rated() -> None:
    (message,) = render_reply(Reply("a1", Answer("Ask me anything.", True, Mode.COMBINED)), REPLY_ID)
    assert [b["type"] for b in message.looks[0].blocks] == ["rich_text"]


def test_the_notice_stands_above_the_answer() -> None:
    (message,) = render_reply(Reply("a1", ANSWER, notice="Your message was cut."), REPLY_ID)
    assert visible(message).startswith("Your message was cut.\n\nIt is ten seconds")


def test_an_empty_answer_says_so() -> None:
    assert "empty" in visible(render("\x00 ")[0])


WORDS = [f"w{number}" for number in range(4_000)]
LONG = {
    "one-paragraph": " ".join(WORDS),
    "paragraphs": "\n\n".join(" ".join(WORDS[i : i + 30]) for i in range(0, 4_000, 30)),
    "code": "```\n" + "\n".join(WORDS) + "\n```",
    "one-line-of-code": "```\n" + " ".join(WORDS) + "\n```",
    "list": "\n".join(f"- {w}" for w in WORDS[:2_000]),
    "item": "1. " + " ".join(WORDS[:2_000]) + "\n2. end",
    "quote": "\n".join(f"> {w}" for w in WORDS[:2_000]),
    "ampersands": "& " * 5_000 + "end",
    "backticks": "a" + "`" * 9_000 + "b",
    "bold": "**" + " ".join(WORDS[:2_000]) + "**",
    "headings": "\n\n".join(f"# {w}\n\n{' '.join(WORDS[:200])}" for w in WORDS[:10]),
    "table": "| a | b |\n|---|---|\n" + "\n".join(f"| {w} | & |" for w in WORDS[:900]),
    "emoji": "🧑🏽‍🚀 " * 2_500,
    "no-spaces": "x" * 11_000,
    "links": " ".join(f"https://a.example/{w}?a=1&b=2" for w in WORDS[:300]),
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_a_long_answer_is_split_within_slack_s_sizes_and_nothing_is_lost(name: str) -> None:
    messages = render(LONG[name])
    for message in messages:
        for look in message.looks:
            assert 0 < len(look.text) <= 4_000
            assert not any(_malformed(block, BLOCK_TYPES) for block in look.blocks)
    whole = re.sub(r"\s", "", "".join(visible(message) for message in messages))
    parsed = re.sub(r"\s", "", "".join(block.text for block in parse(LONG[name])))
    assert whole.startswith(parsed)
    words = [word for word in re.findall(r"w\d+|end", LONG[name]) if name != "headings"]
    assert [word for word in re.findall(r"w\d+|end", whole) if name != "headings"][: len(words)] == words


def test_only_the_last_of_several_messages_carries_the_thumbs() -> None:
    messages = render(LONG["paragraphs"])
    assert len(messages) > 3
    carrying = [any(b["type"] == "context_actions" for b in m.looks[0].blocks) for m in messages]
    assert carrying == [False] * (len(messages) - 1) + [True]


def test_each_piece_of_split_code_is_framed_and_ends_with_a_whole_line() -> None:
    messages = render(LONG["code"])
    for message in messages[:-1]:
        assert message.looks[-1].text.startswith("```\nw")
        assert re.search(r"\nw\d+\n```$", message.looks[-1].text)


def test_a_split_falls_between_blocks_and_takes_a_heading_along() -> None:
    paragraph = Block(Kind.TEXT, (Span("x" * 700),))
    heading = Block(Kind.HEADING, (Span("Title"),))
    parts = split([paragraph, heading, paragraph], 1_000)
    assert parts == [[paragraph], [heading, paragraph]]


def test_a_list_that_is_cut_goes_on_with_its_numbers() -> None:
    items = [Block(Kind.ITEM, (Span(f"item {n} " + "x" * 200),), 0, n) for n in range(1, 10)]
    second = rich_text(split(items, 1_000)[1])["elements"][0]
    assert second["offset"] == 4
    assert second["elements"][0]["elements"][0]["text"].startswith("item 5")


def test_nested_lists_become_lists_with_an_indent() -> None:
    elements = rich_text(parse("- a\n  1. b\n  2. c\n- d\n\ntext"))["elements"]
    assert [(e["type"], e.get("style"), e.get("indent"), len(e["elements"])) for e in elements] == [
        ("rich_text_list", "bullet", 0, 1),
        ("rich_text_list", "ordered", 1, 2),
        ("rich_text_list", "bullet", 0, 1),
        ("rich_text_section", None, None, 1),
    ]


@pytest.mark.parametrize("text", [HOSTILE, *LONG.values(), "```\nunfinished", "**half", "[x](http", "", "<!chan"])
def test_live_text_is_inert_and_fits_one_message(text: str) -> None:
    shown = live_text(text)
    assert 0 < len(shown) <= 4_000
    assert all(re.fullmatch(r"<https?://[^|]+>", angle) for angle in re.findall(r"<[^>]*>", shown))


def test_live_text_that_grows_too_long_shows_its_end() -> None:
    shown = live_text(LONG["one-paragraph"])
    assert shown.startswith("… ")
    assert shown.endswith("w3999")
    assert len(shown) > PART_CHARS / 2


def test_every_stage_has_a_placeholder_of_its_own() -> None:
    assert len({placeholder(stage) for stage in Stage}) == len(Stage)


def test_an_apology_shows_its_error_id_and_is_inert() -> None:
    (look,) = render_apology(Apology("Sorry, <!here> try again.", "e-`12")).looks
    assert look.text == "Sorry, &lt;!here&gt; try again.\nError id: `e-'12`"
