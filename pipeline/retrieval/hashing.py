"""An embedder without a model: words and their character trigrams, hashed into a vector."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from pipeline.retrieval.protocols import Vectors

_DIMENSIONS = 512
_WINDOW = 256
_AT_ONCE = 8
"""More texts than this are embedded off the event loop."""
_WORD = re.compile(r"\w+")
_FUNCTION_WORDS = frozenset(
    _WORD.findall(
        "a an and are as at be but by can do does for from has have how i if in into is it its me my no not of on or "
        "our should so that the their them then there these they this to was we what when where which who why will "
        "with you your"
    )
)
_FUNCTION_WORD_WEIGHT = 0.1
_TRIGRAM_WEIGHT = 0.3


class HashingEmbedder:
    """Texts that share words, or parts of words, are similar. Instant and deterministic: for tests and development.

    The hashing trick with signs: Weinberger et al. 2009, "Feature hashing for large scale multitask learning".
    """

    fingerprint = f"hashing-v1-{_DIMENSIONS}"
    max_tokens = _WINDOW

    def count_tokens(self, text: str) -> int:
        """Words and punctuation marks, and two for the special tokens that a model would add."""
        return len(re.findall(r"\w+|[^\w\s]", text)) + 2

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return _embed(texts) if len(texts) <= _AT_ONCE else await asyncio.to_thread(_embed, texts)

    async def warm(self) -> None:
        """Nothing to load."""

    async def close(self) -> None:
        """Nothing to close."""


def _embed(texts: Sequence[str]) -> Vectors:
    rows = np.zeros((len(texts), _DIMENSIONS), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        for feature, weight in _features(text).items():
            code = zlib.crc32(feature.encode("utf-8", "surrogatepass"))
            row[code % _DIMENSIONS] += weight if code & 0x8000_0000 else -weight
        norm = float(np.linalg.norm(row))
        if norm == 0:  # a text without words is similar to nothing but its like
            row[0] = norm = 1.0
        np.divide(row, norm, out=row)
    return rows


def _features(text: str) -> dict[str, float]:
    features: defaultdict[str, float] = defaultdict(float)
    for word, count in Counter(_WORD.findall(text.lower())).items():
        weight = (1.0 + float(np.log(count))) * (_FUNCTION_WORD_WEIGHT if word in _FUNCTION_WORDS else 1.0)
        features[word] += weight
        padded = f"^{word}$"
        for start in range(len(padded) - 2):
            features[f"#{padded[start : start + 3]}"] += weight * _TRIGRAM_WEIGHT
    return features
