"""Where a passage stands in its document."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.web.locate import passage_lines
from pipeline.types import Passage
from tests.fakes import web_sample as sample

PASSAGE = Passage("p", "docs:a", "shared", "a", "A", ("A", "Second"), "", 0)
TEXT = "# A\n\n## First\n\nThe same words.\n\n## Second\n\nThe same words.\n\nMore of them\nin two lines.\n"


def lines(text: str, passage: str, path: tuple[str, ...] = ("A", "Second")) -> tuple[int, int] | None:
    return passage_lines(text, replace(PASSAGE, text=passage, heading_path=path))


@pytest.mark.parametrize("document", sample.DOCUMENTS, ids=lambda document: document.title)
def test_every_passage_is_found_where_it_was_cut(document: sample.Document) -> None:
    for passage in sample.passages_of(document):
        found = passage_lines(document.text, passage)
        assert found is not None
        cut = "\n".join(document.text.split("\n")[found[0] : found[1] + 1])
        assert cut.strip() == passage.text


def test_a_text_that_occurs_twice_is_found_below_its_heading() -> None:
    assert lines(TEXT, "The same words.") == (8, 8)
    assert lines(TEXT, "The same words.", ("A", "First")) == (4, 4)


def test_a_passage_that_holds_its_heading_is_found() -> None:
    assert lines(TEXT, "## Second\n\nThe same words.") == (6, 8)


def test_a_passage_whose_white_space_was_changed_is_found_by_its_lines() -> None:
    assert lines(TEXT, "The same words.\nMore of them\n  in two  lines.") == (8, 11)


@pytest.mark.parametrize(
    "passage", ["", "  \n ", "Words that are not there.", "The same words.\nMore of them\nand others."]
)
def test_a_passage_that_is_not_there_is_nowhere(passage: str) -> None:
    assert lines(TEXT, passage) is None


def test_an_unknown_heading_leaves_the_first_place() -> None:
    assert lines(TEXT, "The same words.", ("A", "Third")) == (4, 4)
