"""Stop strings end the text wherever they fall, also across pieces."""

from __future__ import annotations

import pytest

from pipeline.llm.stops import StopCutter


def run(pieces: list[str], stops: list[str]) -> tuple[list[str], bool]:
    cutter = StopCutter(stops)
    out = [text for piece in pieces if (text := cutter.feed(piece))]
    return out + [rest for rest in [cutter.flush()] if rest], cutter.stopped


@pytest.mark.parametrize(
    ("pieces", "stops", "expected"),
    [
        (["one", " two"], [], ["one", " two"]),
        (["one", " two"], [" tw"], ["one"]),
        (["one <", "/", "end> more"], ["</end>"], ["one "]),
        (["one <", "/", "em> more"], ["</end>"], ["one ", "</em> more"]),
        (["a", "a", "a", "b"], ["aab"], ["a"]),
        (["one <"], ["</end>"], ["one ", "<"]),
        (["x B y A z"], ["A", "B"], ["x "]),
        (["stop first"], ["stop"], []),
    ],
)
def test_text_ends_before_the_first_stop_string(pieces: list[str], stops: list[str], expected: list[str]) -> None:
    assert run(pieces, stops)[0] == expected


def test_after_a_stop_string_nothing_is_passed_on() -> None:
    assert run(["a STOP b", " c"], ["STOP"]) == (["a "], True)


def test_text_that_cannot_become_a_stop_string_is_passed_on_at_once() -> None:
    cutter = StopCutter(["\n\nQuestion:"])
    assert cutter.feed("first line\nsecond") == "first line\nsecond"
    assert cutter.feed("\n") == ""
    assert cutter.feed("third") == "\nthird"
