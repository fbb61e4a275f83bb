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
    return float(_likeness(np.frombuffer(one, np.uint32), np.frombuffer(other, np.uint32)[np.newaxis])[0])


def folds(documents: Sequence[Signed]) -> dict[str, str]:
    """The fold of each document that is not one of a kind: a name (16 hex characters) that near-duplicates share."""
    parent = {document.id: document.id for document in documents}

    def root(document_id: str) -> str:
        while parent[document_id] != document_id:
            parent[document_id] = parent[parent[document_id]]
            document_id = parent[document_id]
        return document_id

    for one, other in (*_editions(documents), *_near(documents)):
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    members = defaultdict(list)
    for document in documents:
        members[root(document.id)].append(document.id)
    return {
        document_id: hashlib.sha256(first.encode()).hexdigest()[:16]
        for first, ids in members.items()
        if len(ids) > 1
        for document_id in ids
    }


def _editions(documents: Iterable[Signed]) -> Iterator[tuple[str, str]]:
    """Pairs that differ only in the language or release that their path names."""
    first: dict[tuple[str, str], str] = {}
    for document in documents:
        page = (document.source, edition_of(document.key).page)
        yield first.setdefault(page, document.id), document.id


def _near(documents: Sequence[Signed]) -> Iterator[tuple[str, str]]:
    """Pairs that share most of their text: candidates share a band of the signature, and are then compared."""
    signed = [document for document in documents if len(document.signature) == _BINS * 4]
    if len(signed) < 2:
        return
    table = np.frombuffer(b"".join(document.signature for document in signed), np.uint32).reshape(-1, _BINS)
    for band in np.split(table, _BANDS, axis=1):
        order = np.lexsort(band.T)
        rows = band[order]
        starts = np.flatnonzero(np.r_[True, (rows[1:] != rows[:-1]).any(axis=1)])
        ends = np.r_[starts[1:], len(order)]
        for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
            group = order[start:end]
            if (band[group[0]] != _EMPTY).any():
                alike = _likeness(table[group[0]], table[group[1:]]) >= NEAR
                for other in group[1:][alike]:
                    yield signed[group[0]].id, signed[other].id


def _likeness(one: NDArray[np.uint32], others: NDArray[np.uint32]) -> NDArray[np.float64]:
    used = (one != _EMPTY) | (others != _EMPTY)
    equal = ((one == others) & used).sum(axis=1)
    return np.asarray(equal / np.maximum(used.sum(axis=1), 1), dtype=np.float64)
