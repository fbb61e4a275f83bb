"""The arms: ways to answer that are compared. One line adds one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.errors import EvaluationError
from pipeline.retrieval.weights import Weights
from pipeline.speculation import Drafting
from pipeline.types import Mode


class DraftFrom(StrEnum):
    """Where an arm's draft comes from."""

    NOBODY = "nobody"
    DRAFTER = "drafter"
    """`DRAFT_MODEL`, or replayed drafts in its place where there are any."""
    BASE = "base"
    """The server's base model: HyDE (Gao et al. 2022), with this product's fusion instead of a dense list alone."""
    REFERENCE = "reference"
    """The reference answer: the ceiling of a perfect drafter."""
    ANOTHER = "another"
    """The replayed draft for a question about another page, or that question's reference answer."""


class PassagesFrom(StrEnum):
    """Which passages the answerer is shown."""

    RETRIEVAL = "retrieval"
    GOLD = "gold"
    """Those of the gold sections: the ceiling of perfect retrieval."""
    RANDOM = "random"
    """Those of another question's gold sections: an answerer that does as well with them cannot use passages."""


HYBRID = Weights()
"""The product's."""
DENSE = Weights(keyword=0, page_support=0)
"""The vectors' list alone: plain RAG."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to answer."""

    name: str
    mode: Mode
    draft: DraftFrom = DraftFrom.NOBODY
    weights: Weights = HYBRID
    reranked: bool = True
    """Whether the configured reranker, if there is one, orders what is found."""
    passages: PassagesFrom = PassagesFrom.RETRIEVAL
    replay: str | None = None
    """The model whose drafts are replayed; None: drafts are written now."""
    model: str = ""
    """The model that answers; empty: `ANSWER_MODEL`."""
    drafter: str = ""
    """The model that writes drafts where a drafter does; empty: `DRAFT_MODEL`."""
    drafting: Drafting = Drafting.ALWAYS
    """How long it waits for the draft, whatever is set. The draft is known here: only which passages stand in the end differs."""

    @property
    def writes_drafts(self) -> bool:
        """Whether a model has to write drafts for it now."""
        return self.draft is DraftFrom.BASE or (self.draft is DraftFrom.DRAFTER and self.replay is None)

    @property
    def retrieves(self) -> bool:
        return self.mode is not Mode.FINETUNED and self.passages is PassagesFrom.RETRIEVAL


BASELINE = "rag"
"""What the others are compared with."""

ARMS = (
    Arm("rag-dense", Mode.RAG, weights=DENSE, reranked=False),
    Arm("rag", Mode.RAG),
    Arm("finetuned", Mode.FINETUNED),
    Arm("combined", Mode.COMBINED, DraftFrom.DRAFTER),
    Arm("gated", Mode.COMBINED, DraftFrom.DRAFTER, drafting=Drafting.GATED),
    Arm("hyde", Mode.COMBINED, DraftFrom.BASE),
    Arm("oracle", Mode.COMBINED, DraftFrom.REFERENCE),
    Arm("shuffled", Mode.COMBINED, DraftFrom.ANOTHER),
    Arm("gold-passages", Mode.RAG, passages=PassagesFrom.GOLD),
    Arm("random-passages", Mode.RAG, passages=PassagesFrom.RANDOM),
)


def choose(names: Sequence[str], *, arms: Sequence[Arm] = ARMS) -> tuple[Arm, ...]:
    """The named arms, in the order of `arms`; all of them for no names. Raises `EvaluationError` for unknown ones."""
    known = {arm.name for arm in arms}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise EvaluationError(f"No such arm: {', '.join(unknown)}. There are {', '.join(arm.name for arm in arms)}.")
    return tuple(arm for arm in arms if not names or arm.name in names)


def expand(arms: Sequence[Arm], models: Sequence[str]) -> tuple[Arm, ...]:
    """Arms that draft with the drafter, one for each model whose drafts are replayed; the shuffled control for the first."""
    found: list[Arm] = []
    for arm in arms:
        if not models or arm.draft not in (DraftFrom.DRAFTER, DraftFrom.ANOTHER):
            found.append(arm)
        elif arm.draft is DraftFrom.ANOTHER or len(models) == 1:
            found.append(replace(arm, replay=models[0]))
        else:
            found += [replace(arm, name=f"{arm.name}:{model}", replay=model) for model in models]
    return tuple(found)
