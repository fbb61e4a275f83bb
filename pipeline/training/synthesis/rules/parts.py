"""Examples from the parts of a passage: table cells, lists, single sentences, characteristic terms."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.training.synthesis.examples import Example, Statement, asked, fitting, ordered
from pipeline.training.synthesis.markdown import Table, blocks, sentences
from pipeline.training.synthesis.pages import Corpus
from pipeline.training.synthesis.rules.headings import beginning
from pipeline.training.synthesis.rules.phrasing import (
    about_section,
    bare,
    inner,
    names_things,
    section,
    subject,
    subjects,
)
from pipeline.types import Passage

_CELLS = 40
"""Cells of one table that are asked for."""
_ITEMS = 12
"""Items of one list that are answered with."""
_PROSE = 0.8
"""Share of letters and spaces in a sentence, at least."""
_WORDS = (6, 45)
"""Words of a sentence that is asked about by itself."""


def tables(corpus: Corpus, wordings: int) -> Iterator[Example]:
    """Row x column -> value, in the table's words."""
    for passage in corpus.passages:
        for table in blocks(passage.text).tables:
            for row, column in _cells(table):
                told = list(_about_cell(passage, table, row, column))
                value = [Statement(_cell_text(passage, table, row, column))]
                yield from asked(told, wordings, "table", [passage], value)


def is_properties(table: Table) -> bool:
    """Two columns whose second has no meaning of its own: `Property | Value`."""
    return len(table.header) == 2 and table.header[1].lower() in ("value", "values", "setting", "")


def _cells(table: Table) -> list[tuple[tuple[str, ...], int]]:
    found = [
        (row, column)
        for row in table.rows
        for column in range(1, len(table.header))
        if bare(row[0]) and bare(row[column]) not in ("", "-", "–", "—")
    ]
    return found if len(found) <= _CELLS else found[:: -(-len(found) // _CELLS)]


def _about_cell(passage: Passage, table: Table, row: tuple[str, ...], column: int) -> Iterator[str]:
    page, part, name = subject(passage), section(passage), bare(row[0])
    where = f"{page} ({inner(part)})" if part else page
    if is_properties(table):
        for each in subjects(passage):
            yield f"What is the {inner(name)} of {each}?"
            yield f"{each}: {inner(name)}?"
        yield f"What does the documentation give as {inner(name)} for {page}?"
        return
    head = bare(table.header[column]) or "value"
    yield f"{inner(part) or 'value'} of {page} for {inner(name)}, {inner(head)}?"
    yield f"What is the {inner(part) or inner(head)} of {page} for {inner(name)} ({inner(head)})?"
    yield f"{page}, {inner(name)}: {inner(head)}?"
    yield f"For {inner(name)}, what does {where} give as {inner(head)}?"
    yield f"{inner(head)} {inner(part)} {page} {inner(name)}"


def _cell_text(passage: Passage, table: Table, row: tuple[str, ...], column: int) -> str:
    head, name, value = bare(table.header[column]), row[0], row[column]
    if is_properties(table):
        return f"{subject(passage)}: {name}: {value}"
    place = f"{subject(passage)}, {section(passage)}" if section(passage) else subject(passage)
    return f"{place}: {name}: {head}: {value}"


def lists(corpus: Corpus, wordings: int) -> Iterator[Example]:
    """Which …? The list's items."""
    for passage in corpus.passages:
        items = blocks(passage.text).items
        if len(items) < 2:
            continue
        part = section(passage)
        page = subject(passage)
        what = inner(part) if part and names_things(part) else "points"
        told = [f"Which {what} are listed for {page}?", f"List the {what} of {page}.", f"{page}: list of {what}?"]
        told = told if part == "" or names_things(part) else []
        if part:
            told += [wording for name in subjects(passage) for wording in about_section(name, part)]
        yield from asked(
            told, wordings, "list", [passage], fitting([Statement(f"- {item}") for item in items[:_ITEMS]])
        )


def statements(corpus: Corpus, wordings: int) -> Iterator[Example]:
    """Single sentences, asked about in their own words: what a passage says may be asked anywhere in it."""
    for passage in corpus.passages:
        parts = blocks(passage.text)
        told = [sentence for text in parts.paragraphs for sentence in sentences(text)]
        whole = [text for text in (*told, *parts.items) if _is_sentence(text)]
        for text in whole:
            claim = inner(bare(text)).rstrip(".!")
            forms = [f"Is it true that {claim}?", f"Where does it say that {claim}?", f"{claim}?", f"Why: {claim}?"]
            yield from asked(forms, 1, "statement", [passage], [Statement(text)])
            if wordings > 2 and text.endswith("."):
                yield from _half(passage, text)


def _is_sentence(text: str) -> bool:
    """Prose that says something by itself: no code, nothing that introduces a list."""
    letters = sum(character.isalpha() or character == " " for character in text)
    return (
        _WORDS[0] <= len(text.split()) <= _WORDS[1]
        and letters >= _PROSE * len(text)
        and (text[0].isalnum() or text[0] in '"`“(')
        and not text.endswith(":")
    )


def _half(passage: Passage, text: str) -> Iterator[Example]:
    """The sentence's first words, to be gone on with."""
    words = text.split()
    begun = " ".join(words[: max(4, len(words) // 2)])
    yield Example(f"{subject(passage)}: {begun} …", "statement", (passage,), (Statement(text),))


def terms(corpus: Corpus, wordings: int) -> Iterator[Example]:
    """Keywords, as people type them into a search box: the passage's own, with its page and without."""
    for passage in corpus.passages:
        words = corpus.vocabulary.characteristic(passage, 8)
        if len(words) < 3:
            continue
        shuffled = ordered(words, passage.id)
        told = [
            " ".join(shuffled[:4]),
            f"{subject(passage)} {' '.join(shuffled[:2])}",
            f"What do {shuffled[0]} and {shuffled[1]} have to do with {subject(passage)}?",
            " ".join(shuffled[4:8]) if len(shuffled) > 6 else " ".join(shuffled[1:4]),
        ]
        yield from asked(told, wordings, "terms", [passage], beginning(passage))
