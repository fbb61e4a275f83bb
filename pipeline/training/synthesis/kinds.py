"""What a passage can be asked for, and which passages belong together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from pipeline.training.synthesis.examples import ordered
from pipeline.training.synthesis.pages import Corpus
from pipeline.training.synthesis.rules.phrasing import section
from pipeline.types import Passage

_NUMBERS = re.compile(r"\d")
_TROUBLE = re.compile(r"\b(?:error|fail\w*|problem|wrong|cause[sd]?|missing|cannot|retry|fix)\b", re.IGNORECASE)
_STEPS = re.compile(
    r"^\s*(?:\d+[.)]\s|```)|\b(?:open|click|set|run|install|create|choose|use)\b", re.IGNORECASE | re.MULTILINE
)
_TOGETHER = 4
"""Passages that a global question is written from."""


def kinds_for(passage: Passage) -> tuple[str, ...]:
    """The kinds of question that the passage may hold answers to; never none."""
    text = passage.text
    found = ["definition"] if len(passage.heading_path) < 2 or "definition" in section(passage).lower() else []
    found += ["troubleshooting"] if len(_TROUBLE.findall(text)) > 1 else []
    found += ["how-to"] if len(_STEPS.findall(text)) > 1 else []
    found += ["range"] if len(_NUMBERS.findall(text)) > 2 else []
    return tuple(found[:2]) or ("general",)


def together(corpus: Corpus) -> Iterator[list[Passage]]:
    """Passages under the same heading on several pages of a folder."""
    groups: defaultdict[tuple[str, str], dict[str, Passage]] = defaultdict(dict)
    for page in corpus.pages:
        for passage in page.passages:
            if section(passage):
                groups[page.folder, section(passage)].setdefault(page.id, passage)
    for place, found in groups.items():
        if len(found) >= _TOGETHER:
            chosen = ordered(found, " ".join(place))[:_TOGETHER]
            yield [found[document] for document in chosen]
