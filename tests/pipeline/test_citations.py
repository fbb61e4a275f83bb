"""Citation markers in streamed text."""

from __future__ import annotations

import pytest

from pipeline.citations import CitationStream, as_prompted, attribute, citations
from pipeline.types import Hit, Passage


def hit(text: str, number: int = 1) -> Hit:
    passage = Passage(
        f"p{number}", "doc", "shared", f"page-{number}.md", f"Page {number}", (f"Page {number}",), text, 0
    )
    return Hit(passage, 1.0, (), 0.9)


def shown(text: str, passages: int = 3, size: int = 1) -> tuple[str, tuple[int, ...]]:
    stream = CitationStream(passages)
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
        [hit("Nothing of it."), hit("The rebuffering ratio excludes stalls caused by seeks shorter than two seconds.")],
    )
    assert text.startswith("The rebuffering ratio excludes seeks shorter than two seconds [1].")
    assert text.endswith("unrelated here.")
    assert cited == (1,)


def test_a_changed_number_is_no_support_by_itself() -> None:
    _, cited = attribute("Keep 99 days, 88 hours, 77 plays.", [hit("Keep 30 days, 12 hours, 5 plays.")])
    assert cited == ()


def test_code_and_tables_get_no_markers() -> None:
    code = "```\nthe rebuffering ratio excludes seeks shorter\n```"
    assert attribute(code, [hit("the rebuffering ratio excludes seeks shorter")]) == (code, ())


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
