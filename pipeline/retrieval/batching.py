"""Collects what is waiting to be embedded into well filled calls of the model, in threads of its own."""

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

_TOGETHER = 32
"""Questions encoded in one call, at most about."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of one request, encoded in one call."""

    texts: list[str]
    result: Future[Vectors]


def _nothing() -> None:
    """What a worker does before its first call, unless it is told something else."""


class MicroBatcher:
    """`run(texts)` from any task; `encode` is called in `workers` threads, with `batch` texts of a long request at a time.

    `size`: how long a text is for the model; texts of similar length share a call, so that little of it is padding.
    `prepare` is called once in each thread.
    """

    def __init__(
        self,
        encode: Callable[[list[str]], Vectors],
        *,
        batch: int,
        workers: int = 1,
        size: Callable[[str], int] = len,
        prepare: Callable[[], None] = _nothing,
    ) -> None:
        self._encode = encode
        self._batch = batch
        self._size = size
        self._short: deque[_Piece] = deque()
        self._long: deque[_Piece] = deque()
        self._lock = threading.Lock()
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="embedder", initializer=prepare)

    async def run(self, texts: Sequence[str]) -> Vectors:
        """Return one row a text, in the order given. `texts` must not be empty."""
        short = len(texts) <= SHORT_REQUEST
        order = self._sorted(texts, len) if short else await asyncio.to_thread(self._sorted, texts, self._size)
        pieces = [
            _Piece([texts[i] for i in order[start : start + self._batch]], Future())
            for start in range(0, len(order), self._batch)
        ]
        with self._lock:
            (self._short if short else self._long).extend(pieces)
        for _ in pieces:  # as many turns as pieces: none is left behind, surplus turns find nothing to do
            self._workers.submit(self._turn)
        rows = np.concatenate(await asyncio.gather(*(asyncio.wrap_future(piece.result) for piece in pieces)))
        result = np.empty_like(rows)
        result[order] = rows
        return result

    def close(self) -> None:
        """Let the running calls end and refuse what waits."""
        self._workers.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            waiting = [*self._short, *self._long]
            self._short.clear()
            self._long.clear()
        for piece in waiting:
            piece.result.cancel()

    @staticmethod
    def _sorted(texts: Sequence[str], size: Callable[[str], int]) -> list[int]:
        sizes = [size(text) for text in texts]
        return sorted(range(len(texts)), key=sizes.__getitem__)

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
        """All waiting questions that fit into one call, or else one piece of a longer request."""
        with self._lock:
            taken: list[_Piece] = []
            room = _TOGETHER
            while self._short and len(self._short[0].texts) <= room:
                taken.append(self._short.popleft())
                room -= len(taken[-1].texts)
            if not taken and self._long:
                taken.append(self._long.popleft())
            return taken
