"""What is known beforehand of each question: its replayed draft, and everything that any policy finds with it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, partial

from benchmarks.waiting_server import A100, Server, SimulatedModel, tokens_of
from pipeline.answering import AnsweringOptions, Retriever
from pipeline.confidence import Calibration, Calibrations
from pipeline.drafting import Drafter, Said
from pipeline.headings import begun
from pipeline.listing import MOST, find, items_of
from pipeline.llm import FirstLine, Token
from pipeline.types import SHARED, Draft, Hit

SHOWN = AnsweringOptions().passages
DEPTH = 50
HONEST = Calibrations(title=Calibration(((0.0, 0.0), (1.0, 1.0))))
"""Replayed probabilities are calibrated already."""


class Kind(StrEnum):
    """See `benchmarks/waiting_drafts.py`."""

    SAID = "said"
    KNOWN = "known"
    GOLD = "gold"


WORDS = {Kind.SAID: 48, Kind.KNOWN: 12, Kind.GOLD: 12}
"""Of a draft, that are waited for at most."""


@dataclass(frozen=True)
class Replayed:
    """A draft."""

    text: str
    logprobs: Sequence[float] | None = None
    """Of its tokens; None: its drafter tells none, and begins with no heading path."""
    given: Sequence[str] | None = None
    """Its tokens, where a model wrote them; None: as the simulated server cuts it."""
    calibrations: Calibrations = HONEST
    """How far its probabilities are believed."""

    @cached_property
    def tokens(self) -> Sequence[str]:
        return tokens_of(self.text) if self.given is None else self.given

    @cached_property
    def heard(self) -> list[Said]:
        """What it says after none, one, two, ... of its tokens."""
        silent = SimulatedModel(Server(A100), "")
        drafter = Drafter(silent, self.logprobs is not None, self.calibrations, len(self.tokens))
        line, text = FirstLine(), ""
        heard = [drafter.understood(text, line, ended=not self.tokens)]
        for at, token in enumerate(self.tokens):
            if self.logprobs is not None:
                line(Token(token, self.logprobs[at]))
            text += token
            heard.append(drafter.understood(text, line, ended=at == len(self.tokens) - 1))
        return heard

    def searched(self, words: Iterable[int]) -> set[Draft]:
        """What is searched with: where all of it is waited for, or so many words at most."""
        whole = self.heard[-1].draft()
        cut = {
            said.draft(most)
            for said in self.heard
            for most in words
            if said.ended or len(said.text.split()) > most or (said.headings and said.line_ended)
        }
        return {draft for draft in (whole, *cut) if draft is not None}


@dataclass(frozen=True)
class Hits:
    """What one search finds."""

    shown: tuple[Hit, ...]
    """As the product asks for them: their length is what an answer waits for."""
    deep: tuple[Hit, ...]
    """Enough for nDCG@10."""


@dataclass
class Known:
    """Everything that any policy will find for one question."""

    titles: tuple[str, ...]
    alone: Hits
    """By the question."""
    drafts: dict[Kind, Replayed] = field(default_factory=dict)
    drafted: dict[tuple[Kind, str, float | None], Hits] = field(default_factory=dict)
    """By question and draft: see `key`."""
    named: dict[tuple[str, bool], Hits] = field(default_factory=dict)
    """By the title that comes first, or second where False."""


def key(kind: Kind, draft: str, trust: float | None) -> tuple[Kind, str, float | None]:
    """Of what is found with a draft that is so likely right; the last digits of a product of probabilities are chance."""
    return kind, draft, None if trust is None else round(trust, 6)


class Clock:
    """Seconds that searching took here, and putting a page first."""

    def __init__(self) -> None:
        self.searches: list[float] = []
        self.preferences: list[float] = []

    @property
    def search(self) -> str:
        return f"{statistics.median(self.searches) * 1000:.0f} ms"

    @property
    def prefer(self) -> str:
        return f"{statistics.median(self.preferences) * 1000:.1f} ms" if self.preferences else "no time"


async def everything(
    question: str, drafts: dict[Kind, Replayed], retriever: Retriever, clock: Clock, words: Sequence[int] = ()
) -> Known:
    """What the question finds alone, with each draft, and with each page that a draft may name.

    `words`: of a draft, that may be waited for at most; besides the kind's.
    """
    began = time.perf_counter()
    findings = await retriever.find(question, tenant=SHARED, k=SHOWN)
    clock.searches.append(time.perf_counter() - began)
    deep = await retriever.find(question, tenant=SHARED, k=DEPTH)
    known = Known(findings.titles, Hits(findings.hits, deep.hits), drafts)
    for kind, replayed in drafts.items():
        for draft in replayed.searched((WORDS[kind], *words)):
            by = partial(find, retriever, question, trust=draft.trust, tenant=SHARED)
            for query in (draft.text, *items_of(draft.text)[:MOST]):  # the pipeline asks for each item of a list
                at = key(kind, query, draft.trust)
                known.drafted[at] = Hits(await by(query, k=SHOWN), await by(query, k=DEPTH))
    for kind in drafts.keys() - {Kind.SAID}:
        text = drafts[kind].text
        for title in {begun(text[:end], findings.titles) for end in range(len(text) + 1)} - {None}:
            assert title is not None
            for first in (True, False):
                began = time.perf_counter()
                shown = await findings.preferring(title, first)
                clock.preferences.append(time.perf_counter() - began)
                known.named[title, first] = Hits(shown, await deep.preferring(title, first))
    return known
