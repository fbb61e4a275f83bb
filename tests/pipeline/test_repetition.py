"""Models that repeat themselves."""

from __future__ import annotations

import pytest

from pipeline.repetition import LoopGuard


def fed(text: str, size: int = 3) -> LoopGuard:
    guard = LoopGuard()
    for i in range(0, len(text), size):
        if guard.feed(text[i : i + size]):
            break
    return guard


def test_a_sentence_that_comes_again_ends_the_text_before_it() -> None:
    guard = fed("The window is ten seconds long [1]. Also this. The window is ten seconds long. More.")
    assert guard.looped
    assert guard.text.strip() == "The window is ten seconds long [1]. Also this."


def test_a_unit_again_and_again_is_kept_once() -> None:
    guard = fed("The limit is 1." + "0" * 500)
    assert guard.looped
    assert guard.text == "The limit is 1.0"


@pytest.mark.parametrize(
    "text",
    [
        "Click Save. Then close it. Click Save. Done with it.\n",
        "| a | b |\n|" + "---|" * 40 + "\n| 1 | 2 |\n",
        "```\n" + "do the very same thing again and again\n" * 5 + "```\n",
        "=" * 200,
        "One sentence that is long enough. Another sentence that is long enough.\n",
    ],
)
def test_what_may_well_repeat_is_left_alone(text: str) -> None:
    guard = fed(text)
    assert not guard.looped
    assert guard.text == text


def test_a_piece_without_text_changes_nothing() -> None:
    """Held-back citations leave such pieces, at the beginning too."""
    guard = LoopGuard()
    assert not guard.feed("")
    assert guard.text == ""
