"""Near-duplicates are found whatever the dress, and different questions are kept apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import TrainingError
from pipeline.training.duplicates import NearDuplicates, read_questions

EXAMPLE = Path(__file__).parents[3] / "examples" / "streaming-qoe"
KNOWN = "How large a first step when shifting traffic between CDNs?"


@pytest.mark.parametrize(
    "text",
    [
        KNOWN,
        "how large a first step when shifting traffic between cdns",
        "how big should the first step be when shifting traffic between CDNs",
        "When shifting traffic between CDNs, how large is the first step?",
        "Hi team, quick question: how large a first step when shifting traffic between CDNs? Thanks a lot, Ada",
        "How larg a first step when shiftng traffic betwen CDNs?",
        "HOW LARGE A FIRST STEP WHEN SHIFTING TRAFFIC BETWEEN CDNs??",
        "How large a **first step** when shifting `traffic` between CDN's?",
        "We see stalls on one network since Tuesday and nobody knows why. " * 20 + KNOWN,
    ],
)
def test_the_same_question_in_another_dress_is_found(text: str) -> None:
    """Case, marks, width, order, typing errors and small talk hide no evaluation question."""
    match = NearDuplicates([KNOWN, "What is a stall?"]).find(text)
    assert match is not None
    assert match.text == KNOWN


@pytest.mark.parametrize(
    "text",
    [
        "How large a last step when draining an origin?",
        "Which CDN carries most traffic?",
        "What is a CDN?",
        "",
        "?!",
        "how what when",
    ],
)
def test_another_question_is_left_alone(text: str) -> None:
    """Sharing a few words makes no duplicate; a text without words is like nothing."""
    assert NearDuplicates([KNOWN, "", "…"]).find(text) is None


@pytest.mark.parametrize(
    ("known", "near", "far"),
    [
        (
            "Wie groß ist das Fenster für Alarme?",
            "Wie gross ist das Fenster für die Alarme",
            "Wie groß ist der Export?",
        ),
        ("配信の遅延はどのくらいですか", "配信の遅延はどのくらいですか？", "料金はいくらですか"),
        ("What raises alert PG-5002?", "what does raise the alert PG-5002", "What raises alert PG-5003?"),
    ],
)
def test_other_languages_and_identifiers_are_compared_too(known: str, near: str, far: str) -> None:
    """Scripts without spaces are compared by pairs of characters; one digit makes another error code."""
    duplicates = NearDuplicates([known])
    assert duplicates.find(near) is not None
    assert duplicates.find(far) is None


def test_questions_of_the_example_corpus_that_are_joined_ask_for_the_same() -> None:
    """The threshold joins no two different questions of 354: a person has read the pairs that it joins."""
    questions = read_questions([EXAMPLE / "questions.jsonl", EXAMPLE / "tenant-questions.jsonl"])
    known = NearDuplicates()
    joined = []
    for question in questions:
        match = known.find(question)
        joined += [] if match is None else [{match.text, question}]
        known.add(question)
    assert len(questions) == 354
    step = "How large a first step when shifting traffic between CDNs?"
    assert sorted(map(sorted, joined)) == [
        ["After how long without a beacon is a play timed out?"],
        ["How far is Pulse behind?", "how far behind is it?"],  # a follow-up that asks about Pulse
        [step],
        [step, "how big should the first step be when shifting traffic between CDNs"],
        ["Idle timeout of a console session?", "Idle timeout of the console?"],
        ["What is the rate limit for one API key?", "What is the rate limit of an API key?"],
    ]


def test_endless_text_is_cut_before_it_is_compared() -> None:
    """A megabyte of text costs no more than its beginning."""
    assert NearDuplicates([KNOWN]).find("traffic " * 200_000) is None


@pytest.mark.parametrize("line", ["{", "[]", '{"id": "q1"}', '{"question": 5}'])
def test_a_line_without_a_question_refuses_the_file(tmp_path: Path, line: str) -> None:
    """A question that is not held out would be leaked in silence."""
    file = tmp_path / "questions.jsonl"
    file.write_text(f'{{"question": "{KNOWN}"}}\n\n{line}\n')
    with pytest.raises(TrainingError, match=r"questions\.jsonl:3"):
        read_questions([file])
    with pytest.raises(TrainingError, match="cannot be read"):
        read_questions([tmp_path / "missing.jsonl"])
