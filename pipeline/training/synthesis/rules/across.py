"""Global examples: answers that no single page holds, from tables and headings that pages of a folder share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.training.synthesis.examples import Example, Statement, asked, ordered
from pipeline.training.synthesis.markdown import blocks
from pipeline.training.synthesis.pages import Corpus, Page
from pipeline.training.synthesis.rules.parts import is_properties
from pipeline.training.synthesis.rules.phrasing import bare, inner, section, subject
from pipeline.types import Passage

_FEWEST = 3
"""Pages that make a question global."""
_MOST = 12
"""Pages that an answer names; of more it names the first."""
_HANDFUL = 3
_HANDFULS = 3
"""So often so many of a larger group are compared by name."""


@dataclass(frozen=True, slots=True)
class _Cell:
    page: Page
    passage: Passage
    value: str


def properties_across(corpus: Corpus, wordings: int) -> Iterator[Example]:
    """Which pages of a folder have the same value of a property?"""
    groups: defaultdict[tuple[str, str, str], list[_Cell]] = defaultdict(list)
    sizes: defaultdict[tuple[str, str], int] = defaultdict(int)
    for page, passage, name, value in _properties(corpus):
        groups[page.folder, name, value].append(_Cell(page, passage, value))
        sizes[page.folder, name] += 1
    for (folder, name, value), cells in groups.items():
        if _FEWEST <= len(cells) < sizes[folder, name]:  # what all have tells nothing
            kind = _kind_of(folder)
            told = [
                f"Which {kind} have the {inner(name)} {value}?",
                f"List the {kind} whose {inner(name)} is {value}.",
                f"{kind} with {inner(name)} {value}",
                f"What are all {kind} of {inner(name)} {value}?",
            ]
            yield from _example(told, wordings, cells, f"{name}: {value}")


def rows_across(corpus: Corpus, wordings: int) -> Iterator[Example]:
    """One row and column of a table that stands on several pages under the same heading."""
    groups: defaultdict[tuple[str, str, str, str], list[_Cell]] = defaultdict(list)
    for page in corpus.pages:
        for passage in page.passages:
            for table in blocks(passage.text).tables:
                if section(passage) and not is_properties(table):
                    for row in table.rows:
                        for head, cell in list(zip(table.header, row, strict=True))[1:]:
                            place = (page.folder, section(passage), bare(row[0]), bare(head))
                            groups[place].append(_Cell(page, passage, cell))
    for (folder, part, row_name, head), cells in groups.items():
        if len({cell.page.id for cell in cells}) >= _FEWEST:
            kind = _kind_of(folder)
            told = [
                f"What is the {inner(part)} of the {kind} for {inner(row_name)}: {inner(head)}?",
                f"Compare the {inner(part)} ({inner(head)}) of {kind} for {inner(row_name)}.",
                f"{inner(head)} {inner(part)} {inner(row_name)} all {kind}",
            ]
            what = f"{row_name}: {head}"
            yield from _comparison(told, wordings, cells, what)
            for handful in _handfuls(cells):
                names = ", ".join(subject(cell.passage) for cell in handful)
                compared = [f"Compare {inner(part)}, {inner(row_name)}, {inner(head)} of {names}."]
                yield from _comparison(compared, 1, handful, what)


def headings_across(corpus: Corpus, wordings: int) -> Iterator[Example]:
    """Which pages of a folder have a section of the same heading, where not all have it?"""
    groups: defaultdict[tuple[str, str], list[_Cell]] = defaultdict(list)
    pages: defaultdict[str, set[str]] = defaultdict(set)
    for page in corpus.pages:
        pages[page.folder].add(page.id)
        for passage in page.passages:
            part = section(passage)
            if part and all(cell.page.id != page.id for cell in groups[page.folder, part][-1:]):
                groups[page.folder, part].append(_Cell(page, passage, part))
    for (folder, part), cells in groups.items():
        if _FEWEST <= len(cells) <= min(_MOST, len(pages[folder]) * 2 // 3):
            kind = _kind_of(folder)
            told = [
                f"Which {kind} have something about {inner(part)}?",
                f"Where in {kind} do I read about {inner(part)}?",
                f"List the {kind} with a section {part}.",
            ]
            yield from _example(told, wordings, cells, part)


def _properties(corpus: Corpus) -> Iterator[tuple[Page, Passage, str, str]]:
    for page in corpus.pages:
        for passage in page.passages:
            for table in blocks(passage.text).tables:
                if is_properties(table):
                    yield from ((page, passage, bare(row[0]), bare(row[1])) for row in table.rows if bare(row[1]))


def _kind_of(folder: str) -> str:
    """What pages of a folder are called: its name where it is a plural."""
    name = folder.rpartition("/")[2].replace("-", " ").replace("_", " ")
    if not name.replace(" ", "").isalpha():
        return "pages"
    return name if name.endswith("s") else f"pages about {name}"


def _handfuls(cells: Sequence[_Cell]) -> Iterator[list[_Cell]]:
    """Some of many pages, each time others, so that more than the first ones are compared."""
    for at in range(_HANDFULS if len(cells) > _HANDFUL else 0):
        names = set(ordered((cell.page.id for cell in cells), str(at))[:_HANDFUL])
        yield [cell for cell in cells if cell.page.id in names][:_HANDFUL]


def _example(told: Sequence[str], wordings: int, cells: Sequence[_Cell], what: str) -> Iterator[Example]:
    """Pages that have the same."""
    shown = cells[:_MOST]
    listed = [Statement(f"- {subject(cell.passage)}: {what}", at) for at, cell in enumerate(shown)]
    yield from asked(told, wordings, "global", [cell.passage for cell in shown], listed)


def _comparison(told: Sequence[str], wordings: int, cells: Sequence[_Cell], what: str) -> Iterator[Example]:
    """Pages that each have a value of their own."""
    shown = cells[:_MOST]
    listed = [Statement(f"- {subject(cell.passage)}: {what}: {cell.value}", at) for at, cell in enumerate(shown)]
    yield from asked(told, wordings, "comparison", [cell.passage for cell in shown], listed)
