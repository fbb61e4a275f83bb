"""Collects what is waiting to be embedded into few, well filled calls of the model, in one worker thread."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pipeline.retrieval.protocols import Vectors

SHORT_REQUEST = 4
"""A request of at most this many texts is a question that somebody waits for: it overtakes a sync."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of one request, encoded in one call."""

    texts: list[str]
    result: Future[Vectors]


class MicroBatcher:
    """`run(texts)` from any task; `encode` is called in one thread with at most about `batch` texts at a time."""

    def __init__(self, encode: Callable[[list[str]], Vectors], *, batch: int) -> None:
        self._encode = encode
        self._batch = batch
        self._short: deque[_Piece] = deque()
        self._long: deque[_Piece] = deque()
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")

    async def run(self, texts: Sequence[str]) -> Vectors:
        """Return one row a text, in the order given. `texts` must not be empty."""
        # Texts of similar length share a batch, so that little of it is padding.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        pieces = [
            _Piece([texts[i] for i in order[start : start + self._batch]], Future())
            for start in range(0, len(order), self._batch)
        ]
        with self._lock:
            (self._short if len(texts) <= SHORT_REQUEST else self._long).extend(pieces)
        for _ in pieces:  # as many turns as pieces: none is left behind, surplus turns find nothing to do
            self._worker.submit(self._turn)
        rows = np.concatenate(await asyncio.gather(*(asyncio.wrap_future(piece.result) for piece in pieces)))
        result = np.empty_like(rows)
        result[order] = rows
        return result

    def close(self) -> None:
        """Let the running call end and refuse what waits."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            waiting = [*self._short, *self._long]
            self._short.clear()
            self._long.clear()
        for piece in waiting:
            piece.result.cancel()

    def _turn(self) -> None:
        pieces = [piece for piece in self._next() if piece.result.set_running_or_notify_cancel()]
        if not pieces:
            return
        try:
            rows = self._encode([text for piece in pieces for text in piece.texts])
        except BaseException as error:  # a worker that swallows an error would leave its callers waiting for ever
            for piece in pieces:
                piece.result.set_exception(error)
            return
        start = 0
        for piece in pieces:
            piece.result.set_result(rows[start : start + len(piece.texts)])
            start += len(piece.texts)

    def _next(self) -> list[_Piece]:
        """All waiting questions that fit into one batch, or else one piece of a longer request."""
        with self._lock:
            taken: list[_Piece] = []
            room = self._batch
            while self._short and len(self._short[0].texts) <= room:
                taken.append(self._short.popleft())
                room -= len(taken[-1].texts)
            if not taken and self._long:
                taken.append(self._long.popleft())
            return taken
