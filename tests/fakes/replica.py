"""A bot process without platforms, to be killed: `python -m tests.fakes.replica FOLDER EXECUTOR COUNT SECONDS [URL]`.

It accepts COUNT questions (none if 0) and answers each after SECONDS. Every delivery is appended as a line to
FOLDER/delivered, every opening to FOLDER/opened; a line `ready` on standard output says that all have been accepted.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

from bot.conversation import Conversation
from bot.delivery import Opened
from bot.durable import Workflows
from bot.logs import configure_logs
from bot.messages import Platform, Question, Reply
from bot.metrics import Metrics
from bot.store import SqlStore, database_url, migrate, open_engine, workflow_database_url
from bot.work import AnswerWork
from pipeline.types import AnswerEvent, Mode
from tests.fakes.delivery import RecordingDelivery, ScriptedPipeline
from tests.fakes.samples import question


class FileDelivery(RecordingDelivery):
    """Writes each delivery down at once: what it wrote survives the kill."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    async def open(self, question: Question, *, recovering: bool) -> str:
        self._note("opened", question.id)
        return await super().open(question, recovering=recovering)

    async def finish(self, opened: Opened, reply: Reply) -> None:
        self._note("delivered", opened.question.id)

    def _note(self, name: str, line: str) -> None:
        with (self._folder / name).open("a") as file:
            file.write(line + "\n")


class SlowPipeline(ScriptedPipeline):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def answer(self, question: str, **more: Any) -> AsyncGenerator[AnswerEvent, None]:  # type: ignore[override]
        await asyncio.sleep(self._seconds)
        async for event in super().answer(question, **more):
            yield event


async def main(folder: Path, executor: str, count: int, seconds: float, url: str | None) -> None:
    configure_logs("WARNING")
    engine = open_engine(database_url(url, folder))
    await migrate(engine)
    store = SqlStore(engine)
    work = AnswerWork(
        store=store,
        pipeline=SlowPipeline(seconds),
        deliveries={Platform.SLACK: FileDelivery(folder)},
        metrics=Metrics(),
        mode=Mode.COMBINED,
        concurrency=1000,
    )
    workflows = Workflows(
        work=work,
        store=store,
        database_url=workflow_database_url(url, folder),
        executor_id=executor,
        heartbeat=timedelta(seconds=0.3),
        dead_after=timedelta(seconds=2),
    )
    await workflows.launch()
    conversation = Conversation(store, workflows)
    await asyncio.gather(*(conversation.ask(question(message_id=f"m{i}")) for i in range(count)))
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(
        main(
            Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5] if sys.argv[5:] else None
        )
    )
