"""Heading paths: the page that a draft names, recognised before it is said to the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.headings import begun, same_title, title_in, title_of
from tests.fakes.samples import PASSAGE

TITLES = ("Stall Ratio", "Stall Frequency", "Startup Delay", "Limits")


@pytest.mark.parametrize(
    ("draft", "title"),
    [("\n\nStall  Ratio > Definition", "stall ratio"), ("Limits", "limits"), ("", ""), ("A > B > C\nD > E", "a")],
)
def test_the_title_is_the_first_part_of_the_first_line(draft: str, title: str) -> None:
    """Spaces, case and what follows do not matter."""
    assert title_in(draft) == title


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Startup D", "Startup Delay"),
        ("startup  de", "Startup Delay"),
        ("Star", "Startup Delay"),
        ("Sta", None),
        ("Lim", None),  # too short to be sure
        ("Stall Frequ", "Stall Frequency"),
        ("Limits", "Limits"),
        ("Limits of", None),
        ("Limits > Quota", "Limits"),
        ("Limits\n", "Limits"),
        ("Startup Delays", None),
        ("", None),
    ],
)
def test_a_title_is_recognised_once_it_can_be_no_other(said: str, title: str | None) -> None:
    """Before that, and for a page that the question has not found, more has to be said."""
    assert begun(said, TITLES) == title


def test_two_titles_that_begin_alike_have_to_differ_first() -> None:
    """Two pages of one title are one name."""
    assert begun("Stall Ratio", ("Stall Ratio", "Stall Ratio by Device")) is None
    assert begun("Stall Ratio b", ("Stall Ratio", "Stall Ratio by Device")) == "Stall Ratio by Device"
    assert begun("Stall Rati", ("Stall Ratio", "stall ratio")) == "Stall Ratio"


def test_a_passage_bears_its_page_s_title() -> None:
    """A passage above the first heading has its document's."""
    assert same_title(title_of(replace(PASSAGE, heading_path=("Alerts", "Windows"))), "ALERTS")
    assert title_of(replace(PASSAGE, heading_path=(), title="Alerts")) == "Alerts"
