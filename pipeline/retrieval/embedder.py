"""Embeddings by sentence-transformers: loaded late, off the event loop, micro-batched on all cores."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.retrieval.batching import MicroBatcher
from pipeline.retrieval.hashing import HashingEmbedder
from pipeline.retrieval.models import content_hash, find, load
from pipeline.retrieval.protocols import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

__all__ = ["HashingEmbedder", "SentenceTransformerEmbedder"]

_CPU_BATCH = 8
"""On a CPU small batches waste less on padding and stay in its caches: measured, see `docs/experiments.md`."""
_CPU_WORKERS = 8
"""Texts are encoded by as many threads as there are cores, up to this; of more cores each thread gets its share."""
_GPU_BATCH = 32


class SentenceTransformerEmbedder:
    """Any sentence-transformers model, by the name on the Hugging Face hub or by its folder.

    Errors: `IndexUnavailable` where the model cannot be found or loaded; it names EMBEDDING_MODEL.
    `fingerprint`, `max_tokens` and `count_tokens` read small files only, once the model is on this machine; a name
    that has to be downloaded is downloaded by whichever is asked first, so await `warm()` before.
    """

    def __init__(self, model_name: str = "all-MiniLM-L6-v2") -> None:
        self.model_name = model_name
        self._loading = threading.Lock()
        self._loaded: SentenceTransformer | None = None
        self._batcher: MicroBatcher | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Readable name and a hash of configuration and weights: a model fine-tuned in place is another model."""
        name = re.sub(r"[^a-z0-9]+", "-", Path(self.model_name).name.lower()).strip("-")[:27]
        return f"{name}-{content_hash(self._folder)[:12]}"

    @cached_property
    def max_tokens(self) -> int:
        settings = self._folder / "sentence_bert_config.json"
        window = json.loads(settings.read_text()).get("max_seq_length") if settings.is_file() else None
        return int(window or self._model().max_seq_length or 512)

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text).ids)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        batcher = await self._started()
        if not texts:
            return np.zeros((0, self._model().get_embedding_dimension() or 0), dtype=np.float32)
        return await batcher.run(texts)

    async def warm(self) -> None:
        """Load the model, so that the first question does not wait for it."""
        await self._started()

    async def close(self) -> None:
        if self._batcher is not None:
            await asyncio.to_thread(self._batcher.close)

    @cached_property
    def _folder(self) -> Path:
        return find(self.model_name)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        """The model's own tokenizer without its truncation and padding: passages are measured with it."""
        from tokenizers import Tokenizer  # noqa: PLC0415  # only where texts are counted

        file = self._folder / "tokenizer.json"
        if file.is_file():
            tokenizer: Tokenizer = Tokenizer.from_file(str(file))
        else:  # a model with a slow tokenizer only: transformers converts it
            tokenizer = Tokenizer.from_str(self._model().tokenizer.backend_tokenizer.to_str())
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def _model(self) -> SentenceTransformer:
        with self._loading:
            if self._loaded is None:
                self._loaded = load(self.model_name, self._folder)
            return self._loaded

    async def _started(self) -> MicroBatcher:
        if self._batcher is None:
            return await asyncio.to_thread(self._start)
        return self._batcher

    def _start(self) -> MicroBatcher:
        """Load the model and start the threads that encode.

        On a CPU one call does not spread over the cores: threads that share a matrix product wait for each other at
        each of its ends, and whoever else uses a core makes all of them wait. Calls side by side do not.
        """
        on_cpu = self._model().device.type == "cpu"
        cores = _cores()
        workers = min(cores, _CPU_WORKERS) if on_cpu else 1
        with self._loading:
            batcher = self._batcher or MicroBatcher(
                self._encode,
                batch=_CPU_BATCH if on_cpu else _GPU_BATCH,
                workers=workers,
                size=self.count_tokens,
                prepare=partial(_use_threads, cores // workers),
            )
            self._batcher = batcher
        return batcher

    def _encode(self, texts: list[str]) -> Vectors:
        rows = self._model().encode(
            texts, batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        return np.asarray(rows, dtype=np.float32)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _use_threads(count: int) -> None:
    """In a thread that encodes: spread each of its calls over `count` cores."""
    import torch  # noqa: PLC0415  # loaded with the model

    torch.set_num_threads(count)
