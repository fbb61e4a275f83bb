"""Is another embedder better than the one in service? The same questions through both indexes, paired."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.answering import Retriever
from pipeline.errors import EvaluationError
from pipeline.evaluation.bootstrap import Bootstrap, Estimate
from pipeline.evaluation.cases import Case
from pipeline.evaluation.corpus import page_of

QUESTION = "question"
"""The arm without a draft: it decides."""
_PAGES = 10
_HITS = 50
"""Passages retrieved a question, so that ten pages are among them."""
FEWEST = 20
"""Questions below which an interval says nothing."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One arm: nDCG@10 on pages."""

    arm: str
    """`question`, or `draft` and the name of the model whose drafts were replayed."""
    before: Estimate
    after: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Verdict:
    """All arms."""

    arms: tuple[Compared, ...]

    @property
    def better(self) -> bool:
        """With the question alone it is better, and with drafts not worse, as far as 95% intervals can tell."""
        return self.arms[0].difference.low > 0 and all(arm.difference.high >= 0 for arm in self.arms)


async def compare(
    cases: Sequence[Case],
    before: Retriever,
    after: Retriever,
    tenant: str,
    progress: Callable[[int, int], None],
) -> Verdict:
    """Run answerable `cases`, with gold pages as the corpus names them, through both.

    Raises `EvaluationError` for fewer than `FEWEST`, and what retrieval raises.
    """
    asked = [case for case in cases if case.pages]
    if len(asked) < FEWEST:
        raise EvaluationError(
            f"{len(asked)} questions with gold pages are too few to tell two embedders apart; at least {FEWEST}, better 100."
        )
    writers = [name for name in _writers(asked) if all(name in case.drafts for case in asked)]
    arms = {QUESTION: lambda _case: None} | {f"draft {name}": _replay(name) for name in writers}
    bootstrap = Bootstrap([case.id for case in asked])
    compared = []
    for at, (arm, draft) in enumerate(arms.items()):
        scores: list[dict[str, tuple[float, float]]] = [{}, {}]
        for done, case in enumerate(asked):
            for found, retriever in zip(scores, (before, after), strict=True):
                hits = await retriever.retrieve(case.standalone, draft=draft(case), tenant=tenant, k=_HITS)
                found[case.id] = (ndcg([page_of(hit.passage) for hit in hits], case.pages), 1.0)
            progress(at * len(asked) + done + 1, len(arms) * len(asked))
        values = [bootstrap.value(found) for found in scores]
        difference = bootstrap.difference(scores[1], scores[0], scores[0].keys())
        assert values[0]
        assert values[1]
        assert difference
        compared.append(Compared(arm, values[0], values[1], difference))
    return Verdict(tuple(compared))


def ndcg(pages: Sequence[str], gold: Sequence[str]) -> float:
    """NDCG@10 (Järvelin and Kekäläinen 2002): `pages` best first, a page where it stands first; gold pages are worth the same."""
    ranked = list(dict.fromkeys(pages))[:_PAGES]
    wanted = set(gold)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(wanted), _PAGES) + 1))
    return sum(1 / math.log2(rank + 1) for rank, page in enumerate(ranked, start=1) if page in wanted) / ideal


def figures(verdict: Verdict) -> Mapping[str, object]:
    """For the record: arm -> before, after, difference with its interval, rounded."""
    return {
        compared.arm: {
            "before": round(compared.before.value, 4),
            "after": round(compared.after.value, 4),
            "difference": round(compared.difference.value, 4),
            "low": round(compared.difference.low, 4),
            "high": round(compared.difference.high, 4),
            "questions": compared.difference.cases,
        }
        for compared in verdict.arms
    }


def _writers(cases: Sequence[Case]) -> list[str]:
    return list(dict.fromkeys(name for case in cases for name in case.drafts))


def _replay(name: str) -> Callable[[Case], str | None]:
    return lambda case: case.drafts[name]
