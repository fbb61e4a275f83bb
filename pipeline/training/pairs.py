"""Pairs for the embedder: a question and the passage that answers it, one JSON object a line.

{"question": …, "passage": … (as it is embedded, heading path first), "passage_id": …, "document": …}
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import TrainingError

MAX_LINE = 1 << 18
"""Bytes of a pair's line. Passages are cut to the embedder's window, a few kilobytes at most: a longer one is broken."""
FEWEST = 50
"""Pairs below which nothing is trained: a batch's other passages are the negatives, and some pairs are held out."""
_SHOWN = 5
"""Broken lines that an error names."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and a passage that answers it."""

    question: str
    passage: str
    """`Passage.embedded_text`: heading path, then text; what the embedder reads when it is served."""
    passage_id: str
    document: str
    """Id of the passage's document: its other passages may answer too, so they are no negatives."""


@dataclass(frozen=True, slots=True)
class Split:
    """Pairs to train on, and pairs of other documents to judge by."""

    train: tuple[Pair, ...]
    held_out: tuple[Pair, ...]


_PAIR = TypeAdapter(Pair)


def read_pairs(file: Path) -> tuple[Pair, ...]:
    """All pairs, each once. Raises `TrainingError`, naming the first broken lines, and where there are fewer than `FEWEST`."""
    pairs: dict[tuple[str, str], Pair] = {}
    broken: list[str] = []
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            broken.append(f"{file.name}:{number}: {len(line):,} bytes; at most {MAX_LINE:,} are allowed")
            continue
        try:
            pair = _PAIR.validate_json(line)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            broken.append(f"{file.name}:{number}: {where + ': ' if where else ''}{first['msg']}")
            continue
        if not pair.question.strip() or not pair.passage.strip():
            broken.append(f"{file.name}:{number}: question and passage must have text")
            continue
        pairs.setdefault((pair.question.casefold().strip(), pair.passage_id), pair)
    if broken:
        shown = "; ".join(broken[:_SHOWN]) + (f"; and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else "")
        raise TrainingError(f"Pairs that cannot be read: {shown}. Mend or remove these lines; nothing was trained.")
    if len(pairs) < FEWEST:
        raise TrainingError(
            f"{file} holds {len(pairs)} pairs; at least {FEWEST} are needed. Synthesise more questions, or add documents."
        )
    return tuple(pairs.values())


def split_by_document(pairs: Sequence[Pair], share: float, seed: int) -> Split:
    """Hold out about `share` of the pairs: those of whole documents, so that no held-out passage was trained on.

    Raises `TrainingError` where all pairs are of one document.
    """
    documents = sorted({pair.document for pair in pairs})
    random.Random(seed).shuffle(documents)  # noqa: S311  # a split, not a secret
    counts = dict.fromkeys(documents, 0)
    for pair in pairs:
        counts[pair.document] += 1
    chosen: set[str] = set()
    held = 0
    for document in documents:
        if held >= share * len(pairs):
            break
        if held + counts[document] <= 2 * share * len(pairs) or not chosen:  # not one document that is half of the data
            chosen.add(document)
            held += counts[document]
    if len(chosen) == len(documents):
        raise TrainingError("All pairs are of one document: there is nothing to hold out. Add documents.")
    return Split(
        tuple(pair for pair in pairs if pair.document not in chosen),
        tuple(pair for pair in pairs if pair.document in chosen),
    )


def passages_of(pairs: Iterable[Pair]) -> dict[str, Pair]:
    """Passage id -> the first pair that holds it."""
    found: dict[str, Pair] = {}
    for pair in pairs:
        found.setdefault(pair.passage_id, pair)
    return found


def _lines(file: Path) -> Iterable[bytes]:
    try:
        with file.open("rb") as stream:
            yield from stream
    except OSError as exc:
        raise TrainingError(
            f"{file} cannot be read ({exc.strerror}). `promptai synthesize --out {file.parent}` writes it."
        ) from exc
