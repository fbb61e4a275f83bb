"""The threads that embed."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from pipeline.retrieval.batching import MicroBatcher
from pipeline.retrieval.protocols import Vectors


class Encoder:
    """Encodes a text as its length; waits at a gate."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.gate = threading.Event()
        self.entered = threading.Event()

    def __call__(self, texts: list[str]) -> Vectors:
        self.calls.append(texts)
        self.entered.set()
        assert self.gate.wait(10)
        return np.array([[len(text)] for text in texts], dtype=np.float32)


async def busy(batcher: MicroBatcher, encoder: Encoder) -> asyncio.Task[Vectors]:
    """A first request that occupies the thread until the gate opens."""
    first = asyncio.create_task(batcher.run(["first"]))
    assert await asyncio.to_thread(encoder.entered.wait, 10)
    return first


async def test_questions_that_wait_are_encoded_in_one_call() -> None:
    encoder = Encoder()
    batcher = MicroBatcher(encoder, batch=32)
    first = await busy(batcher, encoder)
    others = [asyncio.create_task(batcher.run(["x" * i])) for i in range(1, 9)]
    await asyncio.sleep(0)
    encoder.gate.set()
    assert [float(row[0][0]) for row in await asyncio.gather(*others)] == [1, 2, 3, 4, 5, 6, 7, 8]
    await first
    assert [len(call) for call in encoder.calls] == [1, 8]
    batcher.close()


async def test_a_question_overtakes_a_sync() -> None:
    encoder = Encoder()
    batcher = MicroBatcher(encoder, batch=4)
    first = await busy(batcher, encoder)
    sync = asyncio.create_task(batcher.run([f"passage {i}" for i in range(12)]))
    question = asyncio.create_task(batcher.run(["question"]))
    await asyncio.sleep(0)
    encoder.gate.set()
    await asyncio.gather(first, sync, question)
    assert encoder.calls[1] == ["question"]
    assert [len(call) for call in encoder.calls[2:]] == [4, 4, 4]
    batcher.close()


async def test_texts_of_similar_length_share_a_batch() -> None:
    encoder = Encoder()
    encoder.gate.set()
    batcher = MicroBatcher(encoder, batch=2)
    texts = ["x" * length for length in (9, 1, 8, 2, 7, 3)]
    rows = await batcher.run(texts)
    assert rows[:, 0].tolist() == [9, 1, 8, 2, 7, 3]
    assert [sorted(len(text) for text in call) for call in encoder.calls] == [[1, 2], [3, 7], [8, 9]]
    batcher.close()


async def test_an_error_reaches_everyone_who_was_in_the_batch_and_nobody_else() -> None:
    def encode(texts: list[str]) -> Vectors:
        if "bad" in texts:
            raise ValueError("bad text")
        return np.ones((len(texts), 1), dtype=np.float32)

    batcher = MicroBatcher(encode, batch=32)
    with pytest.raises(ValueError, match="bad text"):
        await batcher.run(["bad"])
    assert (await batcher.run(["good"])).shape == (1, 1)
    batcher.close()


async def test_a_cancelled_question_is_not_encoded() -> None:
    encoder = Encoder()
    batcher = MicroBatcher(encoder, batch=32)
    first = await busy(batcher, encoder)
    gone = asyncio.create_task(batcher.run(["gone"]))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    encoder.gate.set()
    await first
    assert (await batcher.run(["last"])).shape == (1, 1)
    assert ["gone"] not in encoder.calls
    batcher.close()


async def test_closing_leaves_nobody_waiting() -> None:
    encoder = Encoder()
    batcher = MicroBatcher(encoder, batch=32)
    first = await busy(batcher, encoder)
    waiting = asyncio.create_task(batcher.run(["waiting"]))
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(batcher.close))
    encoder.gate.set()
    await closing
    await first
    done, _ = await asyncio.wait([waiting], timeout=10)
    assert done == {waiting}


async def test_each_worker_encodes_a_part_of_a_long_request() -> None:
    both = threading.Barrier(2, timeout=10)

    def encode(texts: list[str]) -> Vectors:
        both.wait()  # passes only while the other worker encodes too
        return np.array([[len(text)] for text in texts], dtype=np.float32)

    prepared: list[str] = []
    batcher = MicroBatcher(encode, batch=3, workers=2, prepare=lambda: prepared.append(threading.current_thread().name))
    rows = await batcher.run([f"text {i}" for i in range(12)])
    assert rows[:, 0].tolist() == [6] * 10 + [7] * 2
    assert len(set(prepared)) == len(prepared) == 2
    batcher.close()


async def test_texts_are_as_long_as_the_given_measure_says() -> None:
    encoder = Encoder()
    encoder.gate.set()
    batcher = MicroBatcher(encoder, batch=3, size=lambda text: text.count("long"))
    await batcher.run(["long", "short and yet many letters", "long, long", "x", "long long long", "y"])
    assert sorted(sorted(call) for call in encoder.calls) == [
        ["long", "long long long", "long, long"],
        ["short and yet many letters", "x", "y"],
    ]
    batcher.close()
