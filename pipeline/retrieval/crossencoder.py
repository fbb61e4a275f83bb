"""A sentence-transformers cross-encoder as reranker: loaded late, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import structlog

from pipeline.errors import IndexUnavailable
from pipeline.retrieval.models import find

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

log = structlog.get_logger(__name__)

_BATCH = 32
"""Pairs in one call of the model; a question's candidates usually fit into one."""


class CrossEncoderReranker:
    """Any cross-encoder with one score a pair, by its name on the Hugging Face hub or by its folder.

    What is longer than its window is cut off by its tokenizer. Questions take turns: each call may use all cores.
    Errors: `IndexUnavailable`, which names PROMPTAI_RERANKER; a model that could not be loaded is not tried again.
    """

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="reranker")
        self._model: CrossEncoder | None = None
        self._broken: str | None = None

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        if not texts:
            return []
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._scores, question, texts)

    async def warm(self) -> None:
        """Load the model, so that the first question does not wait for it. Never raises: answers go on without it."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._worker, self._loaded)
        except IndexUnavailable as error:
            log.error("reranker_unavailable", error=str(error))

    async def close(self) -> None:
        await asyncio.to_thread(self._worker.shutdown, wait=True, cancel_futures=True)

    def _scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        model = self._loaded()
        try:
            pairs: list[Any] = [(question, text) for text in texts]  # the library names every medium that there is
            rows = model.predict(pairs, batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=True)
            return [float(score) for score in rows]
        except Exception as exc:  # torch and transformers each have their own errors
            raise IndexUnavailable(f"PROMPTAI_RERANKER: {self.model_name!r} failed: {exc}") from exc

    def _loaded(self) -> CrossEncoder:
        """In the worker's thread only."""
        if self._broken is not None:
            raise IndexUnavailable(self._broken)
        try:
            self._model = self._model or _load(self.model_name)
        except IndexUnavailable as error:
            self._broken = str(error)
            raise
        return self._model


def _load(name: str) -> CrossEncoder:
    folder = find(name, setting="PROMPTAI_RERANKER", owner="cross-encoder")
    try:
        from sentence_transformers import CrossEncoder  # noqa: PLC0415  # brings torch: seconds

        model: CrossEncoder = CrossEncoder(str(folder))
    except Exception as exc:  # torch, transformers and safetensors each have their own errors
        raise IndexUnavailable(
            f"PROMPTAI_RERANKER: the model {name!r} in {folder} cannot be loaded: {exc}. Is the folder complete?"
        ) from exc
    if model.num_labels != 1:
        raise IndexUnavailable(
            f"PROMPTAI_RERANKER: the model {name!r} gives {model.num_labels} numbers a pair; a reranker gives one."
        )
    return model
