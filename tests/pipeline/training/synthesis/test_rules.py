"""Rules make examples from headings, tables, lists, codes and what pages share."""

from __future__ import annotations

import pytest

from pipeline.errors import TrainingError
from pipeline.training.synthesis.examples import Example
from pipeline.training.synthesis.markdown import blocks, running, sentences
from pipeline.training.synthesis.pages import corpus_of
from pipeline.training.synthesis.rules import by_rules
from pipeline.training.synthesis.rules.phrasing import about_section, inner
from tests.pipeline.training.synthesis.support import small_corpus


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return list(by_rules(small_corpus(), 9))


def answer(examples: list[Example], question: str, kind: str = "") -> Example:
    found = [example for example in examples if question in example.question and kind in example.kind]
    assert found, f"nobody asks {question!r}"
    return found[0]


@pytest.mark.parametrize(
    ("question", "kind", "says", "place"),
    [
        ("Stall Ratio > Good range", "passage", "", "Good range"),
        ("What does Stall Ratio exclude?", "list", "- Plays shorter than 12 seconds.", "What it excludes"),
        ("What is the family of Frame Drops?", "table", "Continuity", "Frame Drops"),
        ("Stall Ratio, live events: investigate?", "table", "above 1.10%", "Good range"),
        ("What does PG-1204 mean?", "definition", "chain of redirects", "PG-1204: Too many redirects"),
        ("What should I do about PG-1204?", "heading", "remove one redirect", "What to do"),
        ("What is Stall Ratio?", "definition", "picture stood still", "Stall Ratio"),
        ("What is stall_ratio?", "identifier", "stall_ratio", "Stall Ratio"),
        ("What does Rate mean in Limits?", "glossary", "180 requests", "Per API key"),
        ("a key ends 400 days after it was made?", "statement", "400 days", "Per API key"),
    ],
)
def test_what_is_asked_and_answered(examples: list[Example], question: str, kind: str, says: str, place: str) -> None:
    """Each rule asks in plain words and answers in the documentation's, from the right passage."""
    found = answer(examples, question, kind)
    assert says in found.answer
    assert found.gold[0].heading_path[-1] == place


def test_a_global_question_is_answered_from_all_its_pages(examples: list[Example]) -> None:
    """Which metrics have the family Continuity? Three pages say so, the fourth does not."""
    found = answer(examples, "Which metrics have the family Continuity?")
    assert [passage.title for passage in found.gold] == ["Stall Ratio", "Frame Drops", "Rebuffer Count"]
    assert [statement.source for statement in found.statements] == [0, 1, 2]


def test_a_table_on_several_pages_is_compared(examples: list[Example]) -> None:
    """One row and column over all pages that have the table, each with its own value."""
    found = answer(examples, "Compare the good range (good) of metrics for live events.")
    assert "- Start Failures: Live events: Good: below 0.70%" in found.answer


def test_the_same_examples_each_time() -> None:
    """Nothing depends on chance or on the order of sets."""
    assert list(by_rules(small_corpus(), 2)) == list(by_rules(small_corpus(), 2))


def test_fewer_wordings_are_some_of_more(examples: list[Example]) -> None:
    """--wordings limits how often the same is asked."""
    few = list(by_rules(small_corpus(), 1))
    assert len(few) < len(examples) / 2
    assert {example.kind for example in few} == {example.kind for example in examples}


@pytest.mark.parametrize(
    ("heading", "question"),
    [
        ("What it means", "What does X mean?"),
        ("What it watches", "What does X watch?"),
        ("How it differs from its neighbours", "How does X differ from its neighbours?"),
        ("How it is paid", "How is X paid?"),
        ("How to export plays", "How do I export plays?"),
        ("Usual causes", "What are the usual causes of X?"),
        ("Can we see it?", "Can we see it?"),
    ],
)
def test_headings_become_questions(heading: str, question: str) -> None:
    """In the grammar of a question, with the page's name in the place of "it"."""
    assert question in about_section("X", heading)


@pytest.mark.parametrize(
    ("heading", "small"), [("Good range", "good range"), ("API keys", "API keys"), ("Live View", "Live View")]
)
def test_names_keep_their_capitals(heading: str, small: str) -> None:
    """Within a sentence only a plain first word is written small."""
    assert inner(heading) == small


def test_markdown_is_taken_apart() -> None:
    """Tables need a head and whole rows; code is no table; links leave their text; escaped pipes stay."""
    parts = blocks(
        "Text with a [link](x.md)\nover lines.\n\n| A | B |\n|---|---|\n| a\\|b | 1 |\n| short |\n\n"
        "1. One\n   more\n2. Two\n\n```\n| no | table |\n- no item\n```\n| just | a line |"
    )
    assert parts.paragraphs == ("Text with a link over lines.",)
    assert parts.tables[0].rows == (("a|b", "1"),)
    assert parts.items == ("One more", "Two")
    assert len(parts.tables) == 1


def test_running_text_keeps_the_order_and_drops_the_marks() -> None:
    """A draft is read as text: cells with commas, no bullets, no rules."""
    assert running("Intro.\n\n| A | B |\n|---|---|\n| a | b |\n\n- item") == "Intro. A, B. a, b. item"


def test_sentences_survive_abbreviations() -> None:
    """A full stop after e.g. or an initial ends nothing."""
    assert sentences("Use it, e.g. Tuesdays. Then J. Doe stops.") == ("Use it, e.g. Tuesdays.", "Then J. Doe stops.")


def test_too_few_documents_are_refused() -> None:
    """The error says how many passages there are, how many are needed, and what to do."""
    with pytest.raises(TrainingError, match=r"1 passages are too few .* at least 8"):
        corpus_of(small_corpus().passages[:1])
