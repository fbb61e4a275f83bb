"""An embedder that remembers its vectors in a file, so that a second run embeds nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.retrieval.protocols import Embedder, Vectors


class CachingEmbedder:
    """See `Embedder`. `save` writes what was embedded since; a file that was cut off counts for nothing."""

    def __init__(self, embedder: Embedder, folder: Path | None) -> None:
        """`folder`: holds one file an embedder; None keeps vectors in memory only."""
        self._embedder = embedder
        self._file = folder / f"{embedder.fingerprint}.npz" if folder else None
        self._known = _load(self._file) if self._file else {}
        self._saved = len(self._known)

    @property
    def fingerprint(self) -> str:
        return self._embedder.fingerprint

    @property
    def max_tokens(self) -> int:
        return self._embedder.max_tokens

    def count_tokens(self, text: str) -> int:
        return self._embedder.count_tokens(text)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return await self._embedder.embed(texts)
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if missing:
            rows = await self._embedder.embed(list(missing.values()))
            self._known.update(zip(missing, rows, strict=True))
        return np.stack([self._known[key] for key in keys])

    def save(self) -> None:
        """Write the file anew, whole or not at all, if there is something new."""
        if self._file is None or len(self._known) == self._saved:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_suffix(f".{os.getpid()}.part.npz")
        np.savez(part, keys=list(self._known), rows=np.stack(list(self._known.values())))
        part.replace(self._file)
        self._saved = len(self._known)


def _load(file: Path) -> dict[str, Vectors]:
    try:
        with np.load(file) as stored:
            return dict(zip(stored["keys"].tolist(), stored["rows"], strict=True))
    except (OSError, ValueError, EOFError, KeyError):
        return {}
