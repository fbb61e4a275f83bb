"""What may be shown of an answer that is still being written: never anything that has to be taken back."""

from __future__ import annotations

import random

import pytest

from bot.teams.markdown import begins_table, teams_markdown
from bot.teams.settled import settled_markdown

ANSWERS = [
    "It is ten seconds [1]. The window is a minute [2][3].",
    "Use `List<T>` & <b>care</b>, or ``a ` b`` instead; a lone ` stays a mark. 5 < 6 &amp; 7 > 6.",
    '# Title\n\nText **bold and *nested*** and [a link](https://a.example/x_(y) "title") and [no link] (at all).\n'
    "## Second\n- one\n- two `code`\n  1. three\n\n---\n\n> quoted [1]\n>> deeper\n",
    "Do this:\n```python\nfor x in y:\n    print(`x`)\n\n```\nand then\n~~~\nmore | text\n~~~\nend | of it\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n\nAfter it: x | y\nno table\n| alone |\n\n| c | d |\n| - | - |\n| 3 | 4 |",
    "See <https://a.example/> or ![image](https://b.example/i.png) and [x](javascript:alert(1)) or [a]: b [c][d].",
    "line one\r\nline two\r\rline three \u202e hidden\x07\n\n\n  indented\n",
    "```\nnever closed\n<at>x</at>\n",
    "[1] begins; [unclosed and `unclosed\nnext line ] ( closes ) `too`\n",
    "Eine sehr schöne Antwort 🙂 mit עברית und `Код`.\n\n1. eins\n2. zwei\n",
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_every_text_so_far_begins_with_the_one_before_and_ends_in_the_whole(answer: str) -> None:
    """Cut anywhere: Teams refuses a stream that takes something back."""
    whole = teams_markdown(answer)
    before = ""
    for end in range(len(answer) + 1):
        shown = settled_markdown(answer[:end])
        assert shown.startswith(before), (answer[:end], before, shown)
        assert whole.startswith(shown), (answer[:end], shown)
        before = shown


def _has_table_without_bars(answer: str) -> bool:
    lines = answer.split("\n")
    return any(begins_table(lines, n) and not line.lstrip().startswith("|") for n, line in enumerate(lines))


def test_it_holds_for_a_thousand_mixtures() -> None:
    """Pieces of Markdown in any order."""
    chance = random.Random(5)
    pieces = [
        *"`[]()|#->*_~:\n\n\n   ",
        "```",
        "~~~",
        "word ",
        "[1] ",
        "[a](http://x/) ",
        "`c` ",
        "|---|---|\n",
        "<at>",
        "&amp;",
    ]
    for _ in range(1_000):
        answer = "".join(chance.choices(pieces, k=chance.randint(1, 40)))
        if _has_table_without_bars(answer):
            continue  # the one thing that cannot be told in time
        whole = teams_markdown(answer)
        before = ""
        for end in range(len(answer) + 1):
            shown = settled_markdown(answer[:end])
            assert shown.startswith(before), (answer, end, before, shown)
            assert whole.startswith(shown), (answer, end, shown, whole)
            before = shown


def test_a_paragraph_is_shown_word_by_word() -> None:
    """Not line by line: most answers are one line."""
    assert settled_markdown("It is ten sec") == "It is ten"
    assert settled_markdown("It is ten seconds [1]. Th") == "It is ten seconds [1]."


def test_code_is_shown_line_by_line() -> None:
    """Without its end, which has not come yet."""
    assert settled_markdown("So:\n```python\na = 1\nb =") == "So:\n```python\na = 1"


def test_a_table_is_shown_when_it_is_over() -> None:
    """Its first line alone could be anything."""
    assert settled_markdown("So:\n| a | b |\n|---|---|\n| 1 | 2") == "So:"
    assert settled_markdown("So:\n| a | b |\n|---|---|\n| 1 | 2 |\n\nThen it") == (
        "So:\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n```\n\nThen"
    )


def test_a_hostile_text_costs_no_more_than_its_length() -> None:
    """A model in a loop must not stop the bot; this is many megabytes' worth of looking if done badly."""
    for unit in ("[", "`", "[a](", "|", "> "):
        settled_markdown(unit * 20_000)
