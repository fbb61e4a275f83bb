"""Filters drop what would teach something wrong, and count it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.training.synthesis.examples import Example, Statement
from pipeline.training.synthesis.filters import Dropped, filters_of, passed, without_duplicates
from pipeline.training.synthesis.languages import language
from pipeline.training.synthesis.near import HeldOut
from tests.pipeline.training.synthesis.support import small_corpus

CORPUS = small_corpus()
LIMITS = next(passage for passage in CORPUS.passages if "180 requests" in passage.text)


def example(question: str, text: str = "A key may make 180 requests per minute.", generator: str = "m") -> Example:
    return Example(question, "general", (LIMITS,), (Statement(text),), generator)


def outcome(example: Example, *held_out: str) -> tuple[list[Example], list[str]]:
    dropped = Dropped()
    kept = passed([example], filters_of(CORPUS, HeldOut(held_out)), dropped)
    return kept, list(dropped.counts)


def test_a_good_example_passes_with_its_scores() -> None:
    """Each filter leaves its score for the row's provenance."""
    kept, _ = outcome(example("How many requests per minute may an API key make?"))
    assert set(kept[0].scores) == {"length", "leak", "specific", "language", "faithful"}


@pytest.mark.parametrize(
    ("question", "text", "filter_"),
    [
        ("How many requests may a key make?", "A key may make 500 requests per minute.", "faithful"),
        ("How many requests may a key make?", "Call `set_rate` on the key.", "faithful"),
        ("How many requests may a key make?", "Bananas ripen quickly beside warm radiators.", "faithful"),
        ("What is this?", "A key may make 180 requests per minute.", "specific"),
        ("Who won the football match yesterday?", "A key may make 180 requests per minute.", "specific"),
        ("???", "A key may make 180 requests per minute.", "length"),
        ("key " * 200, "A key may make 180 requests per minute.", "length"),
        ("Wie viele Requests darf der Key in einer Minute senden?", "Der Key darf nicht mehr als 180 Requests.", "language"),
    ],
)  # fmt: skip
def test_what_is_dropped(question: str, text: str, filter_: str) -> None:
    """Invented numbers, identifiers and facts; questions of any page or none; odd lengths; another language."""
    kept, dropped = outcome(example(question, text))
    assert (kept, dropped) == ([], [filter_])


@pytest.mark.parametrize(
    "asked",
    [
        "How many requests per minute may an API key make?",
        "how many requests per minute may an api key make",
        "An API key may make how many requests per minute?",
        "How many requests per minute may one API key make at most?",
    ],
)
def test_held_out_questions_and_their_like_are_never_trained_on(asked: str) -> None:
    """In other case, order and function words it is the same question still."""
    kept, dropped = outcome(example(asked), "How many requests per minute may an API key make?")
    assert (kept, dropped) == ([], ["leak"])


@pytest.mark.parametrize("generator", ["rule", "seed"])
def test_a_garbled_extract_costs_the_answer_and_not_the_question(generator: str) -> None:
    """Where the passage is right and only what was cut out of it is not, a draft can still be learned."""
    kept, dropped = outcome(example("How many requests may a key make?", "A key may make 500 requests.", generator))
    assert [each.statements for each in kept] == [()]
    assert dropped == []


def test_a_question_about_something_else_is_no_leak() -> None:
    """The neighbour of a held-out question may be asked."""
    kept, _ = outcome(
        example("What is the burst of requests of an API key?", "Burst: 40 requests."), "How many requests?"
    )
    assert kept


def test_of_near_duplicates_the_seed_is_kept() -> None:
    """A person's question before a model's before a rule's, whatever their order."""
    asked = (
        "How many requests may a key make?",
        "How many requests may the key make?",
        "how many requests may a key make",
    )
    examples = [example(question, generator=name) for question, name in zip(asked, ("rule", "m", "seed"), strict=True)]
    dropped = Dropped()
    kept = without_duplicates(examples, CORPUS.vocabulary, dropped)
    assert [each.generator for each in kept] == ["seed"]
    assert dropped.counts == {"near-duplicate": 2}


def test_questions_that_differ_in_one_word_of_the_documentation_are_two() -> None:
    """However much of a wording they share."""
    wording = "What does the documentation say about the good range of {} for live events and on demand?"
    examples = [example(wording.format(name)) for name in ("Stall Ratio", "Start Failures", "Frame Drops")]
    assert without_duplicates(examples, CORPUS.vocabulary, Dropped()) == examples


def test_a_seed_may_use_words_that_the_documentation_lacks() -> None:
    """That is what seeds are for."""
    kept, _ = outcome(replace(example("why does my telly freeze all the time"), generator="seed", statements=()))
    assert kept


@pytest.mark.parametrize(
    ("text", "spoken"),
    [("What does the documentation say about Recipients in Routing and muting?", "en"), ("no, no, no", ""), ("", ""),
     ("Quelle est la durée dans le tableau ?", "fr")],
)  # fmt: skip
def test_languages_are_told_apart_where_they_can_be(text: str, spoken: str) -> None:
    """Short texts and names are in no language."""
    assert language(text) == spoken
