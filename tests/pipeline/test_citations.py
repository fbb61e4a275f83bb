"""Citation markers in streamed text."""

from __future__ import annotations

import random

import pytest

from pipeline.citations import CitationStream, as_prompted, attribute, citations
from pipeline.evidence import Evidence
from pipeline.types import Hit, Passage


def hit(text: str, number: int = 1) -> Hit:
    passage = Passage(
        f"p{number}", "doc", "shared", f"page-{number}.md", f"Page {number}", (f"Page {number}",), text, 0
    )
    return Hit(passage, 1.0, (), 0.9)


def shown(text: str, passages: int = 3, size: int = 1, evidence: Evidence | None = None) -> tuple[str, tuple[int, ...]]:
    stream = CitationStream(passages, evidence)
    out = "".join(stream.feed(text[i : i + size]) for i in range(0, len(text), size)) + stream.close()
    return out, stream.cited


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "expected", "cited"),
    [
        ("Ten seconds [3]. Then [1].", "Ten seconds [1]. Then [2].", (2, 0)),
        ("Both [1, 2] and [2;1].", "Both [1][2] and [2][1].", (0, 1)),
        ("Nothing [7] there.", "Nothing there.", ()),
        ("Half [2, 9].", "Half [1].", (1,)),
        ("`a[1]` and ```\nb[2]\n``` then [2]", "`a[1]` and ```\nb[2]\n``` then [1]", (1,)),
        ("A [link] and [3", "A [link] and [3", ()),
        ("[1](https://x.y)", "[1](https://x.y)", ()),
        ("a ` stray\n\nthen [1]", "a ` stray\n\nthen [1]", (0,)),
        ("no  markers ", "no  markers ", ()),
        ("[0] [1]", " [1]", (0,)),
    ],
)
def test_markers_are_renumbered_by_appearance_wherever_the_pieces_are_cut(
    text: str, expected: str, cited: tuple[int, ...], size: int
) -> None:
    assert shown(text, size=size) == (expected, cited)


def test_text_before_a_possible_marker_is_shown_at_once() -> None:
    stream = CitationStream(3)
    assert stream.feed("Ten seconds [") == "Ten seconds"


def test_citations_name_the_passages_in_the_order_of_their_numbers() -> None:
    hits = [hit("a", 1), hit("b", 2)]
    assert [(c.number, c.location) for c in citations((1, 0), hits)] == [(1, "page-2.md"), (2, "page-1.md")]


def test_a_sentence_without_marker_is_cited_when_a_passage_holds_its_words() -> None:
    text, cited = attribute(
        "The rebuffering ratio excludes seeks shorter than two seconds.\nSomething else entirely unrelated here.",
        Evidence(["Nothing of it.", "The rebuffering ratio excludes stalls caused by seeks shorter than two seconds."]),
    )
    assert text.startswith("The rebuffering ratio excludes seeks shorter than two seconds [1].")
    assert text.endswith("unrelated here.")
    assert cited == (1,)


def test_a_changed_number_is_no_support_by_itself() -> None:
    _, cited = attribute("Keep 99 days, 88 hours, 77 plays.", Evidence(["Keep 30 days, 12 hours, 5 plays."]))
    assert cited == ()


def test_code_and_tables_get_no_markers() -> None:
    code = "```\nthe rebuffering ratio excludes seeks shorter\n```"
    assert attribute(code, Evidence(["the rebuffering ratio excludes seeks shorter"])) == (code, ())


def test_a_finished_answer_is_turned_back_to_the_prompts_numbers() -> None:
    """Readers see passages in order of appearance, the model saw them in order of rank; code is left alone."""
    hits = [hit("first"), hit("second", 2), hit("third", 3)]
    stream = CitationStream(3)
    written = "Ten [3] and `a [1]`, five [1] [3]."
    read = stream.feed(written) + stream.close()
    cited = citations(stream.cited, hits)
    assert read != written
    assert as_prompted(read, cited, hits) == written
    assert as_prompted(read, cited, hits[:1]) == "Ten and `a [1]`, five [1]."


PAGES = Evidence(
    [
        "Data > Retention\nRaw plays are kept for 30 days. After that they are deleted and cannot be restored.",
        "Alerts > Windows\nAn alert rule looks at a window of 10 minutes unless another window is set for the rule.",
        "Admin > Signing in\nA session in the console ends after 75 minutes without activity, and always after 11 hours.",
    ],
    "For how long are my 3 things kept?",
)
KEPT = "Raw plays are kept for 30 days"
WINDOW = "The window of an alert rule is 10 minutes"


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    ("text", "expected", "cited"),
    [
        (f"{KEPT} [1]. {WINDOW} [2].", f"{KEPT} [1]. {WINDOW} [2].", (0, 1)),
        (f"{KEPT} [2]. {WINDOW} [2].", f"{KEPT} [1]. {WINDOW} [2].", (0, 1)),  # one of them moved
        (f"{KEPT}. [3] {WINDOW}. [1]", f"{KEPT}. [1] {WINDOW}. [2]", (0, 1)),  # behind the full stop
        (f"{KEPT} [3] and {WINDOW} [2].", f"{KEPT} [1] and {WINDOW} [2].", (0, 1)),  # two in a sentence
        (f"[2] {KEPT}. Yes.", f"[1] {KEPT}. Yes.", (0,)),  # before its sentence
        (f"[2][3] {KEPT}. Yes.", f"[1] {KEPT}. Yes.", (0,)),
        ("Plays [3] that are raw are kept for 30 days.", "Plays [1] that are raw are kept for 30 days.", (0,)),
        (f"{KEPT} [1][2].", f"{KEPT} [1].", (0,)),  # moved to where it is cited already
        (f"{KEPT} [2, 3].", f"{KEPT} [1].", (0,)),
        ("Raw plays are kept for 90 days [1].", "Raw plays are kept for 90 days.", ()),  # no passage says 90
        ("All 3 raw plays are kept [1].", "All 3 raw plays are kept [1].", (0,)),  # the question said 3
        (f"{WINDOW} [2]. Bananas ripen faster in a bag [3].", f"{WINDOW} [1]. Bananas ripen faster in a bag.", (1,)),
        ("Yes [2].", "Yes [1].", (1,)),  # too little to tell
        ("- Data retention [3]\n- 10 minutes [2]", "- Data retention [1]\n- 10 minutes [2]", (0, 1)),
        (f"In `a[3]`: {KEPT} [2].", f"In `a[3]`: {KEPT} [1].", (0,)),
    ],
)
def test_a_marker_is_moved_to_the_passage_that_bears_its_sentence_out_or_dropped(
    text: str, expected: str, cited: tuple[int, ...], size: int
) -> None:
    assert shown(text, size=size, evidence=PAGES) == (expected, cited)


def test_a_sentence_is_shown_before_its_marker_has_come() -> None:
    """Repair takes nothing back and holds nothing back, where what is cited stands before the marker."""
    stream = CitationStream(3, PAGES)
    assert stream.feed(f"{KEPT} [2") == KEPT
    assert stream.feed("] and") == " [1] and"


def test_a_marker_before_its_sentence_waits_for_the_end_of_it_but_not_for_ever() -> None:
    stream = CitationStream(3, PAGES)
    assert stream.feed(f"[2] {KEPT}") == ""
    assert stream.feed(" x" * 300).startswith(f"[1] {KEPT}")


def test_what_was_repaired_is_counted() -> None:
    stream = CitationStream(3, PAGES)
    stream.feed(f"{KEPT} [2]. Raw plays are kept for 90 days [1]. {WINDOW} [2].")
    stream.close()
    assert (stream.moved, stream.removed) == (1, 1)


def test_repair_changes_nothing_but_markers_wherever_the_pieces_are_cut() -> None:
    """Texts put together at random, the same ones each time."""
    draw = random.Random(8)
    parts = [
        KEPT,
        WINDOW,
        " and ",
        ". ",
        "\n- ",
        " [1]",
        " [2][3]",
        "[9]",
        "`a [1]`",
        "\n```\nb [2]\n```\n",
        "Yes",
        "。",
        "| c [3] |",
    ]
    for _ in range(150):
        text = "".join(draw.choices(parts, k=12))
        whole, cited = shown(text, size=1000, evidence=PAGES)
        assert shown(text, size=draw.choice([1, 3, 8]), evidence=PAGES) == (whole, cited), text
        assert shown(whole, passages=0)[0] == shown(text, passages=0)[0], text
        assert all(f"[{number}]" in whole for number in range(1, len(cited) + 1)), text
