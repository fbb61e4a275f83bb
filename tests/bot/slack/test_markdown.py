"""Markdown from a model becomes blocks in which only honest http(s) links are active."""

from __future__ import annotations

import pytest

from bot.slack.markdown import MAX_PARSED_CHARS, parse
from bot.slack.spans import Kind, Span, safe_url


def shown(text: str) -> str:
    return "\n".join(block.text for block in parse(text))


def links(text: str) -> list[str]:
    return [span.url for block in parse(text) for span in block.spans if span.url]


def test_paragraphs_headings_lists_quotes_and_code_keep_their_order() -> None:
    text = "# Title\n\nOne\ntwo.\n\n1. a\n   more\n2. b\n   - c\n\n> said\n\n```py\nx = 1\n\ny\n```\n\n    indented\n\n***\n"
    assert [(b.kind, b.text, b.indent, b.number) for b in parse(text)] == [
        (Kind.HEADING, "Title", 0, None),
        (Kind.TEXT, "One\ntwo.", 0, None),
        (Kind.ITEM, "a\nmore", 0, 1),
        (Kind.ITEM, "b", 0, 2),
        (Kind.ITEM, "c", 1, None),
        (Kind.QUOTE, "said", 0, None),
        (Kind.CODE, "x = 1\n\ny", 0, None),
        (Kind.CODE, "indented", 0, None),
        (Kind.TEXT, "———", 0, None),
    ]


def test_a_list_goes_on_counting_after_code_between_its_items() -> None:
    blocks = parse("1. a\n\n   ```\n   x\n   ```\n\n2. b\n\n0. zero\n")
    assert [(b.kind, b.number) for b in blocks] == [(Kind.ITEM, 1), (Kind.CODE, None), (Kind.ITEM, 2), (Kind.ITEM, 3)]


def test_styles_nest() -> None:
    (block,) = parse("a **b *c* ~~d~~** `e*`")
    assert block.spans == (
        Span("a "),
        Span("b ", bold=True),
        Span("c", bold=True, italic=True),
        Span(" ", bold=True),
        Span("d", bold=True, strike=True),
        Span(" "),
        Span("e*", code=True),
    )


def test_a_table_becomes_aligned_columns() -> None:
    (block,) = parse("| metric | unit |\n|---|--:|\n| rebuffering | `%` |\n| **start** | s |\n")
    assert block.kind is Kind.CODE
    assert block.text == "metric      | unit\n------------+-----\nrebuffering | %\nstart       | s"


@pytest.mark.parametrize(
    ("text", "visible", "active"),
    [
        ("see https://a.example/x.", "see https://a.example/x.", ["https://a.example/x"]),
        ("(https://a.example/b_(c))", "(https://a.example/b_(c))", ["https://a.example/b_(c)"]),
        ("<https://a.example/>", "https://a.example/", ["https://a.example/"]),
        ("[https://a.example](https://a.example)", "https://a.example", ["https://a.example"]),
        ("[the docs](https://a.example)", "the docs (https://a.example)", ["https://a.example"]),
        ("[https://bank.example](https://evil.example)", "https://bank.example (https://evil.example)", ["https://evil.example"]),
        ("![logo](https://evil.example/p.png)", "logo (https://evil.example/p.png)", ["https://evil.example/p.png"]),
        ("[](https://evil.example)", "(https://evil.example)", ["https://evil.example"]),
        ("[x](slack://open)", "x (slack://open)", []),
        ("[x](javascript:alert)", "[x](javascript:alert)", []),
        ("<mailto:a@b.example>", "mailto:a@b.example", []),
        ("[x](https://bank.example@evil.example/)", "x (https://bank.example@evil.example/)", []),
    ],
)  # fmt: skip
def test_a_link_shows_where_it_leads(text: str, visible: str, active: list[str]) -> None:
    assert shown(text) == visible
    assert links(text) == active


def test_a_reference_definition_cannot_turn_a_citation_into_a_link() -> None:
    text = "See [1].\n\n[1]: https://evil.example"
    assert shown(text) == "See [1].\n[1]: https://evil.example"
    assert parse(text)[0].spans == (Span("See [1]."),)


def test_what_reverses_the_direction_of_text_is_taken_out_and_right_to_left_text_stays() -> None:
    assert shown("\u202ehttps://moc.knab\u202c \u2066x\u2069") == "https://moc.knab x"
    assert shown("שלום \u200fעולם\u200e") == "שלום \u200fעולם\u200e"


def test_html_and_slack_commands_stay_the_text_that_they_are() -> None:
    text = "<b>x</b> <!channel> <@U1> <https://a.example|b> <script>"
    assert "<b>x</b> <!channel> <@U1>" in shown(text)
    assert "<script>" in shown(text)
    assert links(text) == []


def test_a_text_beyond_the_parser_s_limit_is_still_parsed_code_included() -> None:
    code = "\n".join(f"line {n} # <x>" for n in range(2_000))
    text = f"# Title\n\n````py\n{code}\n```\n````\n\n" + "\n\n".join(f"**p{n}** text" for n in range(2_000))
    blocks = parse(text)
    pieces = [block for block in blocks if block.kind is Kind.CODE]
    assert len(pieces) > 1
    assert "\n".join(block.text for block in pieces) == code + "\n```"
    assert [b.spans[0] for b in blocks if b.kind is Kind.TEXT] == [Span(f"p{n}", bold=True) for n in range(2_000)]


def test_entities_and_escapes_are_shown_as_what_they_mean() -> None:
    assert shown("a &lt; b &amp; \\*c\\*") == "a < b & *c*"


@pytest.mark.parametrize("text", ["", "  \n\t\n", "\x00\x07"])
def test_nothing_has_no_blocks(text: str) -> None:
    assert parse(text) == []


@pytest.mark.parametrize("text", ["> " * 200 + "deep", "- " * 200 + "deep", "word " * MAX_PARSED_CHARS])
def test_what_the_parser_would_cut_is_shown_as_it_is(text: str) -> None:
    (block,) = parse(text)
    assert block.text == text


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "https://",
        "https://a.example/ b",
        "https://a.example/<b>",
        "https://a.example/|b",
        "https://user@a.example/",
        "https://[::1",
        "https://a.example\\@b.example",
        "https://а.example/",
        "https://a.example/" + "x" * 2_000,
        "",
    ],
)
def test_unsafe_urls_are_not_linked(url: str) -> None:
    assert safe_url(url) is None
