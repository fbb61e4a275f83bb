"""From ranked passages to the few that are shown: neighbours joined, no page alone, the right language and release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.headings import same_title, title_in, title_of
from pipeline.retrieval.fusion import Candidate
from pipeline.types import Filters, Passage

_LONGEST_JOIN = 3
"""Passages joined into one hit at most: a whole section, not a whole page."""

_TITLES = 50
"""Pages of a question's candidates that a draft may name: further down a title is a chance likeness."""

_PAGE_SHARE = 0.6
"""Of the places, that one page may take while others have something to say."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A passage to show, perhaps with its neighbours."""

    candidate: Candidate
    """Of the best of them."""
    passages: tuple[Passage, ...]
    """In reading order, without a gap, of one section."""

    @property
    def best(self) -> Passage:
        return next(passage for passage in self.passages if passage.id == self.candidate.passage_id)

    @property
    def neighbours(self) -> tuple[str, ...]:
        """Ids of the others."""
        return tuple(passage.id for passage in self.passages if passage.id != self.candidate.passage_id)

    @property
    def shown(self) -> Passage:
        """The best passage with the text of all."""
        if len(self.passages) == 1:
            return self.passages[0]
        return replace(self.best, text="\n\n".join(passage.text for passage in self.passages))


def select(ranked: Iterable[tuple[Candidate, Passage]], k: int, filters: Filters) -> list[Chosen]:
    """The first `k` of `ranked` (best first) that say something new.

    A passage beside a chosen one of the same section joins it. Of near-duplicate pages only the best one is shown, and one
    page gets at most three in five places - unless there is nothing else to fill the rest with.
    """
    limit = max(1, round(_PAGE_SHARE * k))
    chosen: list[Chosen] = []
    left: list[Chosen] = []
    texts: set[str] = set()
    places: Counter[str] = Counter()
    shown_of: dict[str, str] = {}
    for candidate, passage in ranked:
        text = " ".join(passage.text.split())
        if text in texts or not filters.allow(passage):
            continue
        texts.add(text)
        page = f"{passage.tenant}/{passage.document_id}"
        beside = next((i for i, each in enumerate(chosen) if _adjoins(each, passage)), None)
        if beside is not None:
            chosen[beside] = _joined(chosen[beside], passage)
        elif places[page] >= limit or shown_of.setdefault(_fold(passage), page) != page:
            left.append(Chosen(candidate, (passage,)))
        else:
            places[page] += 1
            chosen.append(Chosen(candidate, (passage,)))
        if len(chosen) == k:
            break
    return chosen + left[: k - len(chosen)]


def titles_of(ranked: Iterable[tuple[Candidate, Passage]], filters: Filters) -> tuple[str, ...]:
    """Titles of the first pages of `ranked`, best first, each once."""
    titles = dict.fromkeys(title_of(passage) for _, passage in ranked if filters.allow(passage))
    return tuple(titles)[:_TITLES]


def titled_first(ranked: Sequence[tuple[Candidate, Passage]], draft: str) -> list[tuple[Candidate, Passage]]:
    """`ranked` with the pages in front whose title `draft` begins with; in both parts the order stays.

    A title is a poor query - all passages of its page bear it - but a good choice of page.
    """
    title = title_in(draft)
    return sorted(ranked, key=lambda pair: not same_title(title_of(pair[1]), title))


def titled_second(ranked: Sequence[tuple[Candidate, Passage]], draft: str) -> list[tuple[Candidate, Passage]]:
    """`ranked` with the best passage of those pages behind the best of all: a draft that may be wrong displaces nothing."""
    best = ranked[:1]
    named = [pair for pair in titled_first(ranked[1:], draft)[:1] if same_title(title_of(pair[1]), title_in(draft))]
    return [*best, *named, *(pair for pair in ranked[1:] if pair not in named)]


def _fold(passage: Passage) -> str:
    """What near-duplicate pages share; pages of two tenants never do."""
    return f"{passage.tenant}/{passage.fold}" if passage.fold else f"{passage.tenant}//{passage.document_id}"


def _adjoins(chosen: Chosen, passage: Passage) -> bool:
    first, last = chosen.passages[0], chosen.passages[-1]
    return (
        len(chosen.passages) < _LONGEST_JOIN
        and passage.position in (first.position - 1, last.position + 1)
        and (passage.tenant, passage.document_id) == (first.tenant, first.document_id)
        and passage.heading_path == first.heading_path
    )


def _joined(chosen: Chosen, passage: Passage) -> Chosen:
    before = passage.position < chosen.passages[0].position
    return replace(chosen, passages=(passage, *chosen.passages) if before else (*chosen.passages, passage))
