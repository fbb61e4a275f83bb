"""What a draft that is being written decides, as early as it can be told.

A drafter that begins with the heading path of a passage names a page, and few characters say which of the pages that the
question has found it is. Its probability only falls while it goes on; once it is doubted it stays so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.confidence import BELIEVED, DOUBTED
from pipeline.drafting import Said, Writing
from pipeline.headings import SEPARATOR, begun, same_title, title_of
from pipeline.types import Draft, Findings, Hit


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a draft that is not waited for decides. `benchmarks/drafting_folds.py` measures other values, chosen on folds."""

    doubted: float = DOUBTED
    """A title that is right no oftener than this changes nothing, 0 to 1."""
    believed: float = BELIEVED
    """One that is right oftener than this comes first, 0 to 1; between the two it is only added."""
    settled: float = 0.9
    """A drafter whose last token was so probable knows how it goes on: its trust will not fall much more."""
    near: int = 10
    """Titles that the best page's has to be told from. To agree with what was found anyway takes less than to overrule it."""
    sure_rank: int = 3
    """The question is sure where its best passage is among the first so many of every list; 0: never."""
    changed: int = 1
    """Passages that may differ under a running answer that is kept; the best one always matters."""


BOUNDS = Bounds()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the question's own passages."""

    outcome: Literal["skipped", "agreed", "doubted", "named", "added", "waited", "late"]
    """See `Speculation`. `named`: the pages of that title come first. `added`: their best passage comes second. `waited`: retrieve again, with the draft."""
    draft: Draft | None = None
    title: str = ""
    """What was named."""


def sure(hits: Sequence[Hit], rank: int = BOUNDS.sure_rank) -> bool:
    """Whether vectors and keywords agree on the best passage: then a draft seldom finds a better one."""
    fused = [found for found in hits[0].found_by if found.weight > 0] if hits else []  # a reranker only orders them
    return len(fused) > 1 and all(found.rank <= rank for found in fused)


async def decided(writing: Writing, found: Findings, words: int, bounds: Bounds = BOUNDS) -> Verdict:
    """The verdict, as soon as the draft, or its first `words`, allows one."""
    while (verdict := decide(writing.said, found, words, bounds)) is None:
        await writing.more()
    return verdict


def decide(said: Said, found: Findings, words: int, bounds: Bounds = BOUNDS) -> Verdict | None:
    """The verdict of what has been said so far; None where more has to be said."""
    if said.late:
        return Verdict("late")
    if said.headings and (verdict := _of_title(said, found, bounds)):
        return verdict
    enough = len(said.text.split()) > words  # one more: then the last of them is whole
    if said.ended or enough or (said.headings and said.line_ended):
        return Verdict("waited", said.draft(words))
    return None


def _of_title(said: Said, found: Findings, bounds: Bounds) -> Verdict | None:
    trust = said.title.trust
    if trust is not None and trust <= bounds.doubted:
        return Verdict("doubted", said.named())
    if not said.text.strip() or not found.hits:
        return None
    best = title_of(found.hits[0].passage)
    near = begun(said.text, found.titles[: bounds.near])
    if near is not None and same_title(near, best):
        return Verdict("agreed", said.named(near))  # what it had begun to say
    title = begun(said.text, found.titles)
    if title is None:
        return None
    if trust is not None and trust <= bounds.believed:
        return Verdict("added", said.named(title), title)
    settled = said.line_ended or SEPARATOR in said.text or said.last >= bounds.settled
    return Verdict("named", said.named(title), title) if trust is not None and settled else None


async def settle(
    verdict: Verdict, found: Findings, retrieve: Callable[[Draft], Awaitable[tuple[Hit, ...]]]
) -> tuple[Hit, ...]:
    """The passages to answer from. `retrieve`: by question and draft. Raises as retrieval does."""
    if verdict.outcome in ("named", "added"):
        return await found.preferring(verdict.title, verdict.outcome == "named")
    if verdict.outcome == "waited" and verdict.draft is not None:
        return await retrieve(verdict.draft)
    return found.hits
