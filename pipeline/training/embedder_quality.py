"""How well an embedder finds the passages of held-out pairs."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline.training.pairs import Pair, passages_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

POOL = 500
"""Passages looked through: those of the held-out pairs, filled up at random with others. More would cost more than it tells."""
_QUESTIONS = 400
"""Held-out questions asked; more would cost more than they tell."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Questions and the passages among which theirs are to be found."""

    questions: tuple[str, ...]
    passages: tuple[str, ...]
    gold: tuple[frozenset[int], ...]
    """For each question the rows of its passages."""


def held_out(pairs: Sequence[Pair], others: Iterable[Pair], seed: int) -> HeldOut:
    """`pairs`, a sample of them where there are many, among their own passages and some of `others`."""
    draw = random.Random(seed)  # noqa: S311  # a sample, not a secret
    asked = list(pairs) if len(pairs) <= _QUESTIONS else draw.sample(list(pairs), _QUESTIONS)
    pool = passages_of(asked)
    more = sorted(set(passages_of([*pairs, *others])) - set(pool))
    known = passages_of([*pairs, *others])
    for each in draw.sample(more, max(0, min(len(more), POOL - len(pool)))):
        pool[each] = known[each]
    rows = {passage_id: row for row, passage_id in enumerate(pool)}
    gold: dict[str, set[int]] = {}
    for pair in asked:
        gold.setdefault(pair.question, set()).add(rows[pair.passage_id])
    return HeldOut(
        tuple(gold), tuple(pair.passage for pair in pool.values()), tuple(frozenset(each) for each in gold.values())
    )


def judge(model: SentenceTransformer, among: HeldOut) -> Mapping[str, float]:
    """`recall@1`, `recall@10` (share of questions with a passage among the first) and `mrr` (mean reciprocal rank)."""
    return figures(encode(model, among.questions), encode(model, among.passages), among.gold)


def figures(questions: Floats, passages: Floats, gold: Sequence[frozenset[int]]) -> dict[str, float]:
    """See `judge`; unit vectors."""
    similar = questions @ passages.T
    first = []
    for row, rows in enumerate(gold):
        best = max(similar[row, each] for each in rows)
        first.append(1 + int((similar[row] > best).sum()))
    ranks = np.array(first)
    return {
        "recall@1": float((ranks <= 1).mean()),
        "recall@10": float((ranks <= 10).mean()),
        "mrr": float((1 / ranks).mean()),
    }


def encode(model: SentenceTransformer, texts: Sequence[str], *, bf16: bool = False) -> Floats:
    """Unit vectors, one row a text. `bf16`: twice as quick where the machine has it, and exact enough to mine with."""
    import torch  # noqa: PLC0415  # loaded with the model

    with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=bf16):
        rows = model.encode(
            list(texts), batch_size=16, normalize_embeddings=True, show_progress_bar=False, convert_to_tensor=True
        )
    found: Floats = rows.float().cpu().numpy()
    unit: Floats = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit
