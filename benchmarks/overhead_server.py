"""The processes that `benchmarks.overhead` measures: `python -m benchmarks.overhead_server SYSTEM FOLDER SLACK [URL]`.

SYSTEM is `promptai` (the bot: Slack's adapter, conversation, workflow, pipeline, database; the model is scripted) or
`bare` (the least that DBOS can do with the same event: a handler, a workflow, one step that posts). It prints the URL
for events and serves until it is terminated.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from dbos import DBOS, SetWorkflowID

from bot.conversation import Conversation
from bot.durable import Workflows
from bot.logs import configure_logs
from bot.messages import Platform
from bot.metrics import Metrics
from bot.settings import BotSettings
from bot.slack import SlackAdapter, slack_parts
from bot.store import SqlStore, SqlTenants, database_url, migrate, open_engine, workflow_database_url
from bot.work import AnswerWork
from pipeline.answering import AnsweringPipeline
from pipeline.knowledge.catalog import Catalog
from pipeline.llm.scripted import ScriptedChatModel
from pipeline.retrieval import HashingEmbedder, MemoryKeywords, MemoryVectors, MemoryVisibility, Retriever
from pipeline.types import SHARED, Mode, Passage
from tests.fakes.slack_api import BOT_TOKEN, SIGNING_SECRET

DRAFT = "A play without a beacon is timed out after some minutes; the session is then closed as abandoned."
ANSWER = (
    "A play is timed out after ten minutes without a beacon [1]. Players send one every 30 seconds while a play is under "
    "way [2], so twenty of them have to be lost in a row before that happens. The play then ends at its last beacon, the "
    "session is closed as well, and a beacon that comes later begins a new session [1]."
)
"""60 tokens of the scripted model, which are words."""

SECTIONS = {
    "Time-outs": "A play is timed out after ten minutes without a beacon. The session is then closed.",
    "Beacons": "A player sends a beacon every 30 seconds while a play is under way.",
    "Sessions": "A session groups the plays of one viewer on one device.",
    "Startup Delay": "The clock starts when play is requested and stops at the first frame.",
    "Raw export": "The raw export is written as Parquet, one file an hour.",
    "Rate limits": "One API key may send 600 requests a minute.",
}


async def main(system: str, folder: Path, slack: str, url: str | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = web.Application()
    async with AsyncExitStack() as stack:
        serving = promptai(app, folder, slack, url) if system == "promptai" else bare(app, folder, slack, url)
        await stack.enter_async_context(serving)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events", flush=True)
        await stop.wait()


@asynccontextmanager
async def promptai(app: web.Application, folder: Path, slack: str, url: str | None) -> AsyncIterator[None]:
    """As `bot.serve` builds it."""
    configure_logs("INFO")
    engine = open_engine(database_url(url, folder))
    await migrate(engine)
    store = SqlStore(engine)
    deliveries: dict[Platform, Any] = {}
    work = AnswerWork(
        store=store,
        pipeline=await pipeline(),
        deliveries=deliveries,
        metrics=Metrics(),
        mode=Mode.COMBINED,
    )
    workflows = Workflows(
        work=work, store=store, database_url=workflow_database_url(url, folder), executor_id="promptai-0"
    )
    settings = BotSettings(
        _env_file=None, SLACK_BOT_TOKEN=BOT_TOKEN, SLACK_SIGNING_SECRET=SIGNING_SECRET, SLACK_API_URL=slack
    )
    adapter = SlackAdapter(
        Conversation(store, workflows),
        settings,
        slack_parts(engine, SqlTenants(engine, default=settings.tenant), Catalog(engine), settings),
    )
    deliveries[Platform.SLACK] = adapter.delivery
    await adapter.start()
    await workflows.launch()
    adapter.add_routes(app)
    try:
        yield
    finally:
        await workflows.close()
        await adapter.close()
        await engine.dispose()


async def pipeline() -> AnsweringPipeline:
    """The real pipeline and retriever over a few passages in memory; the model answers from a script."""
    passages = [
        Passage(
            id=f"p{number}",
            document_id=f"d{number}",
            tenant=SHARED,
            location=f"{title}.md",
            title=title,
            heading_path=(title,),
            text=text,
            position=0,
        )
        for number, (title, text) in enumerate(SECTIONS.items())
    ]
    embedder, vectors, keywords = HashingEmbedder(), MemoryVectors(), MemoryKeywords()
    rows = await embedder.embed([passage.embedded_text for passage in passages])
    await vectors.upsert(SHARED, [passage.id for passage in passages], rows)
    await keywords.upsert(SHARED, passages)
    drafter, answerer = ScriptedChatModel(lambda _: DRAFT), ScriptedChatModel(lambda _: ANSWER)
    for model in (drafter, answerer):
        # It keeps every request for tests to look at, which would count as the bot's memory.
        model.requests = deque(maxlen=1)  # type: ignore[assignment]
    return AnsweringPipeline(
        drafter=drafter,
        answerer=answerer,
        retriever=Retriever(embedder, vectors, keywords, MemoryVisibility(passages)),
    )


@asynccontextmanager
async def bare(app: web.Application, folder: Path, slack: str, url: str | None) -> AsyncIterator[None]:
    """A DBOS workflow with one step, as DBOS's documentation would write it."""
    session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {BOT_TOKEN}"})
    DBOS(
        config={
            "name": "bare",
            "system_database_url": workflow_database_url(url, folder),
            "executor_id": "bare-0",
            "application_version": "1",
            "log_level": "WARNING",
        }
    )

    @DBOS.step()
    async def post(channel: str, thread: str) -> str:
        message = {"channel": channel, "thread_ts": thread, "text": "Here is the answer."}
        async with session.post(slack + "chat.postMessage", json=message) as response:
            return str((await response.json())["ts"])

    @DBOS.workflow()
    async def answer(channel: str, thread: str) -> None:
        await post(channel, thread)

    async def handle(request: web.Request) -> web.Response:
        event = (await request.json())["event"]
        with SetWorkflowID(f"{event['channel']}-{event['ts']}"):
            await DBOS.start_workflow_async(answer, event["channel"], event["ts"])
        return web.Response()

    DBOS.launch()
    app.add_routes([web.post("/slack/events", handle)])
    try:
        yield
    finally:
        await session.close()
        # DBOS's thread pool is the loop's default and ends with it, so DBOS cannot be ended from it.
        DBOS.destroy(destroy_registry=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4] if sys.argv[4:] else None))
