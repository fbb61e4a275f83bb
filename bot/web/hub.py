"""The recent state of each question's reply, kept in memory for the pages that watch it.

Delivery writes snapshots, event streams read them. A watcher is only told that something changed and reads the latest
snapshot when it is ready, so a slow browser costs no memory and never holds an answer up.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bot.messages import Question, Vote
from pipeline.types import Answer, Draft, Hit, Stage


@dataclass(frozen=True, slots=True)
class Finished:
    """A reply that has reached its end with an answer."""

    reply_id: str
    answer: Answer
    notice: str | None = None
    """A line to show above the answer."""
    vote: Vote | None = None
    """The current vote of the person who looks."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A reply that has reached its end with an apology."""

    text: str
    error_id: str | None = None
    """None where the text already holds it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is known of one question's reply at one moment."""

    stage: Stage | None = None
    draft: Draft | None = None
    hits: tuple[Hit, ...] | None = None
    text: str = ""
    """The answer so far."""
    end: Finished | Failed | None = None
    """None while the reply is being made."""


class Watch:
    """One watcher's bell."""

    def __init__(self) -> None:
        self._bell = asyncio.Event()

    def ring(self) -> None:
        self._bell.set()

    async def changed(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for a change; True if there was one since the last call."""
        try:
            async with asyncio.timeout(timeout):
                await self._bell.wait()
        except TimeoutError:
            return False
        self._bell.clear()
        return True


@dataclass(slots=True)
class _Entry:
    conversation: str | None = None
    """None until the delivery has spoken: a watcher may come first."""
    snapshot: Snapshot = field(default_factory=Snapshot)
    watches: set[Watch] = field(default_factory=set)

    @property
    def dispensable(self) -> bool:
        """True if the store can tell all that is here, and nobody looks."""
        return self.snapshot.end is not None and not self.watches


class Hub:
    """Snapshots by question id; bounded, and safe to lose."""

    def __init__(self, capacity: int = 256) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def __len__(self) -> int:
        return len(self._entries)

    def update(self, question: Question, change: Callable[[Snapshot], Snapshot]) -> None:
        """Replace a question's snapshot and tell its watchers."""
        entry = self._entries.setdefault(question.id, _Entry())
        self._entries.move_to_end(question.id)
        entry.conversation = question.conversation
        entry.snapshot = change(entry.snapshot)
        for watch in entry.watches:
            watch.ring()
        self._evict()

    def snapshot(self, question_id: str, conversation: str) -> Snapshot | None:
        """What is known of a question of that conversation; None if the delivery has not spoken of it here."""
        entry = self._entries.get(question_id)
        return entry.snapshot if entry is not None and entry.conversation == conversation else None

    @contextmanager
    def watch(self, question_id: str) -> Iterator[Watch]:
        """Be told of changes. The question need not be known yet."""
        watch = Watch()
        entry = self._entries.setdefault(question_id, _Entry())
        entry.watches.add(watch)
        try:
            yield watch
        finally:
            entry.watches.discard(watch)
            if entry.conversation is None and not entry.watches:
                self._entries.pop(question_id, None)
            self._evict()

    def close(self) -> None:
        """Let all watchers go, so that a server may stop."""
        self._closed = True
        for entry in self._entries.values():
            for watch in entry.watches:
                watch.ring()

    def _evict(self) -> None:
        """Forget finished replies beyond the capacity, oldest first. Unfinished ones are few: they are being made."""
        surplus = len(self._entries) - self._capacity
        if surplus <= 0:
            return
        for question_id in [key for key, entry in self._entries.items() if entry.dispensable][:surplus]:
            del self._entries[question_id]
