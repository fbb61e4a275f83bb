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
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from benchmarks.retrieval_folds import FOLDS, folds_of
from benchmarks.waiting_known import Clock, Kind, Known, Replayed, everything
from benchmarks.waiting_server import tokens_of
from pipeline.answering import AnsweringOptions, Retriever
from pipeline.confidence import calibrate
from pipeline.evaluation.cases import Case
from pipeline.evaluation.corpus import Corpus, MemoryCorpus, in_section, page_of, read_corpus
from pipeline.evaluation.vectors import CachingEmbedder
from pipeline.headings import SEPARATOR, title_in, title_of
from pipeline.retrieval import SentenceTransformerEmbedder, Weights
from pipeline.types import SHARED, Hit

LEAST_TRUST = 0.001


@asynccontextmanager
async def opened(documents: Path, cache: Path | None) -> AsyncIterator[MemoryCorpus]:
    """A corpus. `cache`: folder that keeps vectors between runs."""
    real = SentenceTransformerEmbedder()
    embedder = CachingEmbedder(real, cache)
    with tempfile.TemporaryDirectory() as scratch:
        yield await read_corpus(documents, embedder, Path(scratch))
    embedder.save()
    await real.close()


async def gather(
    folder: Path, cases: Sequence[Case], model: str, kinds: Sequence[Kind], cache: Path | None
) -> dict[str, Known]:
    """By question. Prints how long searching takes here, and putting a page first."""
    async with opened(folder / "corpus.jsonl", cache) as corpus:
        retriever = corpus.retriever(Weights())
        titles = await titles_in(corpus)
        best = await best_hits(cases, model, retriever)
        found, clock = {}, Clock()
        for case, hit, trust in zip(cases, best, calibrated(cases, best), strict=True):
            every = {
                Kind.SAID: Replayed(said_by(case, model)),
                Kind.KNOWN: trained(" > ".join(hit.passage.heading_path), trust, titles),
                Kind.GOLD: trained(await gold_path(case, corpus), 1.0, titles),
            }
            chosen = {kind: every[kind] for kind in kinds}
            found[case.standalone] = await everything(case.standalone, chosen, retriever, clock)
    right = np.mean([page_of(hit.passage) == case.pages[0] for hit, case in zip(best, cases, strict=True)])
    print(
        f"known: {right:.0%} name the gold page. Here searching took {clock.search}, putting a page first {clock.prefer} (median)."
    )
    return found


async def titles_in(corpus: Corpus) -> list[str]:
    """Each once."""
    return sorted({title_of(passage) for page in await corpus.pages() for passage in await corpus.passages(page)})


async def best_hits(cases: Sequence[Case], model: str, retriever: Retriever) -> list[Hit]:
    """What the model's draft for each question, without the question, retrieves best."""
    return [
        (await retriever.retrieve(case.drafts[model].strip(), draft=None, tenant=SHARED, k=10))[0] for case in cases
    ]


def said_by(case: Case, model: str) -> str:
    """The model's draft, as much as fits the drafter's limit."""
    return "".join(tokens_of(case.drafts[model].strip())[: AnsweringOptions().draft_tokens]).strip()


def calibrated(cases: Sequence[Case], best: Sequence[Hit], without: int = -1) -> list[float]:
    """For each draft how likely its passage is of the right page, from the drafts of the other folds, and not of `without`."""
    folds = folds_of([case.pages[0] for case in cases])
    outcomes = [(hit.score, page_of(hit.passage) == case.pages[0]) for case, hit in zip(cases, best, strict=True)]
    trusts = [0.0] * len(cases)
    for fold in range(FOLDS):
        calibration = calibrate([outcomes[at] for at in np.flatnonzero((folds != fold) & (folds != without))])
        assert calibration is not None
        for at in np.flatnonzero(folds == fold):
            trusts[at] = max(LEAST_TRUST, calibration.right(outcomes[at][0]))
    return trusts


def trained(path: str, trust: float, titles: Sequence[str]) -> Replayed:
    """A trained drafter's draft. `trust`: how likely it is right. See the module for its tokens' probabilities."""
    tokens = tokens_of(path)
    title = tokens_of(path.partition(SEPARATOR)[0])
    texts = [title_in("".join(title[:count])) for count in range(1, len(title) + 1)]
    folded = [title_in(each) for each in titles]
    open_for = 1 + sum(sum(each.startswith(text) for each in folded) > 1 for text in texts[:-1])
    each = math.log(trust) / open_for
    return Replayed(path, [each if at < open_for else 0.0 for at in range(len(tokens))])


async def gold_path(case: Case, corpus: Corpus) -> str:
    """The heading path of the gold section, or of the gold page."""
    passages = await corpus.passages(case.pages[0])
    gold = [p for p in passages for section in case.sections if in_section(p, section.name)]
    return " > ".join((gold or list(passages[:1]))[0].heading_path)
