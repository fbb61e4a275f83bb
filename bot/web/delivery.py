"""Replies at the console: written to the hub, from which the page's event stream reads."""

from __future__ import annotations

from dataclasses import replace

from bot.delivery import Opened, Progress
from bot.messages import Apology, Question, Reply
from bot.web.hub import Failed, Finished, Hub, Snapshot
from pipeline.types import DraftReady, PassagesFound


def reply_id_of(question_id: str) -> str:
    """A reply's id follows from its question's, so opening it again opens the same one."""
    return "r-" + question_id.removeprefix("q-")


class WebDelivery:
    """`Delivery` for the console. Cannot fail: whoever is not watching reads the stored answer later."""

    def __init__(self, hub: Hub | None = None) -> None:
        self.hub = Hub() if hub is None else hub

    async def open(self, question: Question, *, recovering: bool) -> str:  # noqa: ARG002 - the protocol names it
        """Begin the reply. What was shown before a crash is written anew, so `recovering` changes nothing."""
        self.hub.update(question, lambda _: Snapshot())
        return reply_id_of(question.id)

    async def status(self, opened: Opened, progress: Progress) -> None:
        self.hub.update(opened.question, lambda snapshot: _with_progress(snapshot, progress))

    async def append(self, opened: Opened, text: str) -> None:
        self.hub.update(opened.question, lambda snapshot: replace(snapshot, text=text))

    async def finish(self, opened: Opened, reply: Reply) -> None:
        end = Finished(opened.reply_id, reply.answer, reply.notice)
        self.hub.update(opened.question, lambda snapshot: replace(snapshot, end=end))

    async def fail(self, opened: Opened, apology: Apology) -> None:
        end = Failed(apology.text, apology.error_id)
        self.hub.update(opened.question, lambda snapshot: replace(snapshot, end=end))


def _with_progress(snapshot: Snapshot, progress: Progress) -> Snapshot:
    match progress:
        case DraftReady(draft):
            return replace(snapshot, draft=draft)
        case PassagesFound(hits):
            return replace(snapshot, hits=hits)
        case _:
            return replace(snapshot, stage=progress.stage)
