"""Global questions ("which metrics ...?"): where the draft is a list, passages are found for each of its items.

As one query a list of ten finds what resembles all ten, which is no passage. One by one they find ten, and more of them are
shown: as many as fit the room that the usual number takes when it meets long passages. That a question is global is told
by the draft, in any language: a list of headings or names, and nothing else.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.types import Hit

if TYPE_CHECKING:
    from pipeline.answering import Retriever

LEAST, MOST = 3, 12
"""Items that make a list, and items retrieved for."""
LONGEST = 80
"""Characters of an item; longer lines are text, also with a bullet: steps, reasons."""
FULL_PASSAGE = 800
"""Characters of a passage of 200 tokens, as long as the splitter makes them (`pipeline.knowledge.passages`)."""
TIMES = 3
"""Times the usual number of passages, at most."""

_BULLET = re.compile(r"^\s*(?:[-*+•‣·]|\d{1,3}[.)])\s+")
_PROSE_END = re.compile(r"[.!…。！｡．।][\"'”’»)\]*_]*$")
"""How a sentence ends; not with a question mark, since headings of questions do."""
_SENTENCE_WITHIN = re.compile(r"[.!…]\s|[。！｡．।]")
_CODE = re.compile(r"^\s*(?:```|~~~)", re.MULTILINE)
"""Lines of code end like no sentence. A draft that was cut may end within the fence."""


def items_of(draft: str) -> tuple[str, ...]:
    """The items of a draft that is a list, each once; none for any other draft.

    A line before them may introduce them. Lines without a bullet are items where none ends like a sentence. Steps that
    are explained and code are no list, also where the draft was cut before the prose that follows.

    >>> items_of("These metrics:\\n- Stall Ratio\\n- Plays\\n- Attempts")
    ('Stall Ratio', 'Plays', 'Attempts')
    >>> items_of("Alerts > Windows\\nTen minutes are usual.\\nSee also rules.")
    ()
    """
    if _CODE.search(draft):
        return ()
    lines = [line.strip() for line in draft.splitlines() if line.strip()]
    if lines and lines[0].endswith((":", "：")):
        lines = lines[1:]
    bulleted = all(_BULLET.match(line) for line in lines)
    items = dict.fromkeys(_BULLET.sub("", line).strip(" *_`") for line in lines)
    listed = len(items) >= LEAST and all(_names(item, bulleted=bulleted) for item in items)
    return tuple(items) if listed else ()


def _names(item: str, *, bulleted: bool) -> bool:
    prose = None if bulleted else _PROSE_END.search(item)
    return bool(item) and len(item) <= LONGEST and not prose and not _SENTENCE_WITHIN.search(item[:-1])


async def find(
    retriever: Retriever,
    question: str,
    draft: str | None,
    *,
    tenant: str,
    k: int,
    trust: float | None = None,
    most: int = 0,
) -> tuple[Hit, ...]:
    """As `Retriever.retrieve`, `k` passages; up to `most` where they are short and fit the room of `k` long ones.

    With a draft that is a list up to `TIMES * k` or `most` of them, of as many of its items as can be.
    """
    items = items_of(draft or "")
    if not items:
        hits = await retriever.retrieve(question, draft=draft, tenant=tenant, k=max(k, most), trust=trust)
        return fitting(hits, k, most)
    found = await asyncio.gather(
        *(retriever.retrieve(question, draft=item, tenant=tenant, k=k, trust=trust) for item in items[:MOST])
    )
    return fitting(in_turn(found), k, max(most, TIMES * k))


def in_turn(found: Sequence[Sequence[Hit]]) -> tuple[Hit, ...]:
    """The first of each, then the second of each: no passage twice, joined ones neither."""
    seen: set[str] = set()
    hits: list[Hit] = []
    for hit in itertools.chain.from_iterable(itertools.zip_longest(*found)):
        if hit is not None and hit.passage.id not in seen:
            hits.append(hit)
            seen.update((hit.passage.id, *hit.neighbours))
    return tuple(hits)


def fitting(hits: Sequence[Hit], k: int, most: int) -> tuple[Hit, ...]:
    """Those of `hits` that fit the room of `k` long passages; at least `k`, and no more than that or `most`."""
    room = k * FULL_PASSAGE
    kept: list[Hit] = []
    for hit in hits[: max(k, most)]:
        room -= len(hit.passage.embedded_text)
        if room < 0 and len(kept) >= k:
            break
        kept.append(hit)
    return tuple(kept)
