"""The drafts that are replayed, and what every policy will retrieve with them.

said    a strong model's closed-book answer as it is: a drafter that was not trained on the documentation
known   the heading path of the passage that this answer, without the question, retrieves best: a drafter that was trained to
        begin with the heading path, and knows what the strong model knows. An assumption. How likely it is right is
        calibrated, on the questions of the other folds, from the fused score of that passage.
gold    the heading path of the gold section, certain: the ceiling of a trained drafter

A trained drafter is unsure as long as more than one title of the documentation is possible: the title's uncertainty is spread
evenly over the tokens up to there.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.retrieval_folds import FOLDS, folds_of
from benchmarks.waiting_server import tokens_of
from pipeline.answering import AnsweringOptions, Retriever
from pipeline.confidence import calibrate
from pipeline.evaluation.cases import Case
from pipeline.evaluation.corpus import Corpus, in_section, page_of, read_corpus
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.headings import SEPARATOR, begun, title_in, title_of
from pipeline.listing import MOST, find, items_of
from pipeline.retrieval import SentenceTransformerEmbedder, Weights
from pipeline.types import SHARED, Hit, Passage

SHOWN = AnsweringOptions().passages
DEPTH = 50
LEAST_TRUST = 0.001


class Kind(StrEnum):
    """See the module."""

    SAID = "said"
    KNOWN = "known"
    GOLD = "gold"


WORDS = {Kind.SAID: 48, Kind.KNOWN: 12, Kind.GOLD: 12}
"""Of a draft, that are waited for at most."""


@dataclass(frozen=True)
class Replayed:
    """A draft."""

    text: str
    trust: float | None = None
    """How likely it is right."""
    logprobs: Sequence[float] | None = None
    """Of its tokens."""

    def first(self, words: int | None) -> str:
        """Its first words, or all of it."""
        return self.text if words is None else " ".join(self.text.split()[:words])


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
    drafted: dict[tuple[Kind, str], Hits] = field(default_factory=dict)
    """By question and draft."""
    named: dict[tuple[str, bool], Hits] = field(default_factory=dict)
    """By the title that comes first, or second where False."""


async def gather(
    folder: Path, cases: Sequence[Case], model: str, kinds: Sequence[Kind], cache: Path | None
) -> dict[str, Known]:
    """By question. Prints how long searching takes here, and putting a page first."""
    real = SentenceTransformerEmbedder()
    embedder = CachingEmbedder(real, cache)
    with tempfile.TemporaryDirectory() as scratch:
        corpus = await read_corpus(folder / "corpus.jsonl", embedder, Path(scratch))
        retriever = corpus.retriever(Weights())
        titles = sorted({title_of(p) for page in await corpus.pages() for p in await corpus.passages(page)})
        best = [
            (await retriever.retrieve(case.drafts[model].strip(), draft=None, tenant=SHARED, k=10))[0] for case in cases
        ]
        trusts = calibrated(cases, best)
        found, clock = {}, Clock()
        for case, hit, trust in zip(cases, best, trusts, strict=True):
            gold = " > ".join((await gold_passage(case, corpus)).heading_path)
            every = {
                Kind.SAID: Replayed(said_by(case, model)),
                Kind.KNOWN: trained(" > ".join(hit.passage.heading_path), trust, titles),
                Kind.GOLD: trained(gold, 1.0, titles),
            }
            found[case.question] = await everything(case, {kind: every[kind] for kind in kinds}, retriever, clock)
    embedder.save()
    await real.close()
    right = np.mean([page_of(hit.passage) == case.pages[0] for hit, case in zip(best, cases, strict=True)])
    print(
        f"known: {right:.0%} name the gold page. Here searching took {clock.search}, putting a page first {clock.prefer} (median)."
    )
    return found


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


async def everything(case: Case, drafts: dict[Kind, Replayed], retriever: Retriever, clock: Clock) -> Known:
    """What the question finds alone, with each draft, and with each page that a draft may name."""
    began = time.perf_counter()
    findings = await retriever.find(case.question, tenant=SHARED, k=SHOWN)
    clock.searches.append(time.perf_counter() - began)
    deep = await retriever.find(case.question, tenant=SHARED, k=DEPTH)
    known = Known(findings.titles, Hits(findings.hits, deep.hits), drafts)
    for kind, draft in drafts.items():
        for text in {draft.first(None), draft.first(WORDS[kind])}:
            by = partial(find, retriever, case.question, trust=draft.trust, tenant=SHARED)
            for query in (text, *items_of(text)[:MOST]):  # the pipeline asks for each item of a list
                known.drafted[kind, query] = Hits(await by(query, k=SHOWN), await by(query, k=DEPTH))
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


def said_by(case: Case, model: str) -> str:
    """The model's draft, as much as fits the drafter's limit."""
    return "".join(tokens_of(case.drafts[model].strip())[: AnsweringOptions().draft_tokens]).strip()


def calibrated(cases: Sequence[Case], best: Sequence[Hit]) -> list[float]:
    """For each draft how likely its passage is of the right page, from the other folds' drafts."""
    folds = folds_of([case.pages[0] for case in cases])
    outcomes = [(hit.score, page_of(hit.passage) == case.pages[0]) for case, hit in zip(cases, best, strict=True)]
    trusts = [0.0] * len(cases)
    for fold in range(FOLDS):
        calibration = calibrate([outcomes[at] for at in np.flatnonzero(folds != fold)])
        assert calibration is not None
        for at in np.flatnonzero(folds == fold):
            trusts[at] = max(LEAST_TRUST, calibration.right(outcomes[at][0]))
    return trusts


def trained(path: str, trust: float, titles: Sequence[str]) -> Replayed:
    """A trained drafter's draft. See the module for its tokens' probabilities."""
    tokens = tokens_of(path)
    title = tokens_of(path.partition(SEPARATOR)[0])
    texts = [title_in("".join(title[:count])) for count in range(1, len(title) + 1)]
    folded = [title_in(each) for each in titles]
    open_for = 1 + sum(sum(each.startswith(text) for each in folded) > 1 for text in texts[:-1])
    each = math.log(trust) / open_for
    return Replayed(path, trust, [each if at < open_for else 0.0 for at in range(len(tokens))])


async def gold_passage(case: Case, corpus: Corpus) -> Passage:
    """The first of the gold section, or of the gold page."""
    passages = await corpus.passages(case.pages[0])
    gold = [p for p in passages for section in case.sections if in_section(p, section.name)]
    return (gold or list(passages[:1]))[0]
