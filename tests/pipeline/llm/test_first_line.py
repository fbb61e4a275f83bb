"""How sure a drafter is of its first line."""

from __future__ import annotations

import math

import pytest

from pipeline.llm import FirstLine, Token

HALF = math.log(0.5)


def test_it_is_the_product_of_the_first_lines_tokens() -> None:
    """The tokens of later lines say nothing about the heading."""
    line = FirstLine()
    for text in ("Stall", " Ratio", "\n", "Stalls", " are"):
        line(Token(text, HALF))
    assert line.probability == pytest.approx(0.125)


def test_an_empty_line_in_front_is_not_the_first_line() -> None:
    """Models like to begin with one."""
    line = FirstLine()
    for text in ("\n\n", "Stall", "\n", "x"):
        line(Token(text, HALF))
    assert line.probability == pytest.approx(0.125)


def test_a_server_that_tells_no_probabilities_is_not_certain_of_anything() -> None:
    """None, not 1."""
    assert FirstLine().probability is None


def test_a_title_ends_where_the_path_goes_on() -> None:
    """How sure the drafter is of the page says nothing about the section."""
    line = FirstLine()
    for text in ("\n", "Stall", " Ratio", " >", " Def", "inition", "\n", "x"):
        line(Token(text, HALF))
    assert line.title == pytest.approx(0.5**4)
    assert line.probability == pytest.approx(0.5**7)


def test_a_line_without_a_section_is_all_title() -> None:
    """A page's own first passage has no other heading."""
    line = FirstLine()
    for text in ("Limits", "\n", "x"):
        line(Token(text, HALF))
    assert line.title == line.probability == pytest.approx(0.25)
