"""Near-duplicate documents: versions, translations and copies of one page.

MinHash by one permutation hashing (Li, Owen and Zhang, 2012): every five-word shingle of a document falls into one of
64 bins by its hash, and each bin keeps its least. Two documents share about as many bins as shingles (Jaccard).
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.knowledge.editions import edition_of

Places = NDArray[np.intp]
"""Of documents in a sequence."""

NEAR = 0.8
"""Documents of which a larger share of shingles is equal are one page."""

_BINS = 64
_BANDS = 16
"""Of four bins each: documents that share 80% of their shingles share a band with a probability of 99.9%."""
_SHINGLE = 5
_EMPTY = np.uint32(0xFFFFFFFF)
_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Signed:
    """A document, as far as folding looks at it."""

    id: str
    source: str
    key: str
    """Its path within the source."""
    signature: bytes


def signature(text: str) -> bytes:
    """The document's MinHash: 256 bytes. Texts of less than five words match only their equals."""
    words = np.array([zlib.crc32(word.encode()) for word in _WORDS.findall(text.lower())], dtype=np.uint64)
    bins = np.full(_BINS, _EMPTY, dtype=np.uint32)
    if len(words) < _SHINGLE:
        bins[:] = zlib.crc32(words.tobytes())
        return bins.tobytes()
    shingles = np.zeros(len(words) - _SHINGLE + 1, dtype=np.uint64)
    for offset in range(_SHINGLE):
        shingles = shingles * np.uint64(0x9E3779B97F4A7C15) + words[offset : offset + len(shingles)]
    # mixes the high bits, which choose the bin, into the low ones, which are kept
    shingles ^= shingles >> np.uint64(29)
    shingles *= np.uint64(0xBF58476D1CE4E5B9)
    np.minimum.at(bins, (shingles >> np.uint64(58)).astype(np.intp), (shingles & np.uint64(_EMPTY)).astype(np.uint32))
    return bins.tobytes()


def similarity(one: bytes, other: bytes) -> float:
    """The estimated share of shingles (Jaccard, 0 to 1) that two documents have in common."""
    return float(_likeness(np.frombuffer(one, np.uint32)[np.newaxis], np.frombuffer(other, np.uint32)[np.newaxis])[0])


def folds(documents: Sequence[Signed]) -> dict[str, str]:
    """The fold of each document that is not one of a kind: a name (16 hex characters) that near-duplicates share."""
    groups = _Groups(len(documents))
    groups.join(*_editions(documents))
    signed = np.array([i for i, each in enumerate(documents) if len(each.signature) == _BINS * 4], dtype=np.intp)
    table = np.frombuffer(b"".join(documents[i].signature for i in signed), np.uint32).reshape(-1, _BINS)
    for one, other in _near(table):
        groups.join(signed[one], signed[other])
    members = defaultdict(list)
    for document, group in zip(documents, groups.labels().tolist(), strict=True):
        members[group].append(document.id)
    names = {min(ids): ids for ids in members.values() if len(ids) > 1}
    return {
        document_id: name
        for name, ids in ((hashlib.sha256(first.encode()).hexdigest()[:16], ids) for first, ids in names.items())
        for document_id in ids
    }


class _Groups:
    """Which of `count` things belong together (disjoint sets)."""

    def __init__(self, count: int) -> None:
        self._parent: Places = np.arange(count)

    def join(self, ones: Places, others: Places) -> None:
        """`ones[i]` and `others[i]` belong together. Most pairs say nothing new: only the others take a turn each."""
        labels = self.labels()
        new = labels[ones] != labels[others]
        parent = labels.tolist()
        for one, other in zip(labels[ones[new]].tolist(), labels[others[new]].tolist(), strict=True):
            first, second = _root(parent, one), _root(parent, other)
            parent[second] = first
        self._parent = np.array(parent, dtype=np.intp)

    def labels(self) -> Places:
        """A number for each thing, the same for those that belong together."""
        while ((above := self._parent[self._parent]) != self._parent).any():
            self._parent = above
        return self._parent


def _root(parent: list[int], at: int) -> int:
    while parent[at] != at:
        parent[at] = at = parent[parent[at]]
    return at


def _editions(documents: Iterable[Signed]) -> tuple[Places, Places]:
    """Pairs that differ only in the language or release that their path names."""
    first: dict[tuple[str, str], int] = {}
    ones = [
        first.setdefault((document.source, edition_of(document.key).page), place)
        for place, document in enumerate(documents)
    ]
    return np.array(ones, dtype=np.intp), np.arange(len(ones))


def _near(table: NDArray[np.uint32]) -> Iterator[tuple[Places, Places]]:
    """Pairs of rows that share most of their text: candidates share a band of the signature, and are then compared."""
    for band in np.split(table, _BANDS, axis=1) if len(table) > 1 else ():
        order = np.lexsort(band.T)
        rows = band[order]
        first = np.r_[True, (rows[1:] != rows[:-1]).any(axis=1)]  # of each run of equal rows
        ones, others = order[first][np.cumsum(first) - 1][~first], order[~first]
        filled = (band[others] != _EMPTY).any(axis=1)
        ones, others = ones[filled], others[filled]
        alike = _likeness(table[ones], table[others]) >= NEAR
        yield ones[alike], others[alike]


def _likeness(ones: NDArray[np.uint32], others: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Row by row."""
    used = (ones != _EMPTY) | (others != _EMPTY)
    equal = ((ones == others) & used).sum(axis=1)
    return np.asarray(equal / np.maximum(used.sum(axis=1), 1), dtype=np.float64)
