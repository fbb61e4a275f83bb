"""`promptai serve`: every configured platform on one listener, console and metrics on another."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Protocol

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bot.adapters import AdapterChecks
from bot.app import Core
from bot.attachments import Attachments
from bot.control import control_app, open_socket
from bot.conversation import Conversation
from bot.delivery import Delivery
from bot.durable import Workflows
from bot.embedding import IndexCheck, follow
from bot.errors import BotError, SettingsError
from bot.messages import Platform
from bot.metrics import Metrics
from bot.schedule import Schedule
from bot.slack import SlackAdapter, slack_parts
from bot.stale import StaleNotices
from bot.store import SqlExperiments, SqlFreshness, workflow_database_url
from bot.syncing import declared, order_of, run_order
from bot.teams import TeamsAdapter
from bot.web import WebAdapter, WebDelivery
from bot.work import AnswerWork
from pipeline.errors import PipelineError

log = structlog.get_logger(__name__)

MAX_BODY = 1024 * 1024
"""Bytes of a webhook's body; Slack's and Teams' stay far below."""


class Adapter(Protocol):
    """What each platform's folder offers."""

    @property
    def platform(self) -> Platform: ...

    @property
    def delivery(self) -> Delivery: ...

    def add_routes(self, app: web.Application) -> None: ...

    async def start(self) -> None: ...

    async def check(self) -> None: ...

    async def close(self) -> None: ...


async def serve(core: Core, *, ready: Callable[[str | None, str], None], stop: asyncio.Event | None = None) -> None:
    """Serve until SIGINT, SIGTERM or `stop`.

    Nothing listens before models and embedder are loaded. `ready` is called with the addresses of the webhooks' listener
    (None without a chat platform) and the console's. Raises what cannot be opened or loaded.
    """
    stop = stop or _stop_on_signals()
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        # Before anything can be asked: what cannot be loaded stops the start, and the first question waits for nothing.
        await core.pipeline()
        await core.warm()
        _settle()
        deliveries: dict[Platform, Delivery] = {}
        attachments: dict[Platform, Attachments] = {}
        work = AnswerWork(
            store=core.store,
            pipeline=core.answering,
            deliveries=deliveries,
            metrics=metrics,
            mode=core.settings.mode,
            experiments=SqlExperiments(core.engine),
            # The embedded model answers two at a time; a server says itself when it has enough (429).
            concurrency=64 if core.settings.model_url else 2,
            timeout=core.bot.answer_timeout,
            attachments=attachments,
        )
        workflows = _workflows(core, work)
        conversation = Conversation(core.store, workflows, metrics)
        web_adapter = WebAdapter(conversation, WebDelivery(), core, core.bot.tenant, suggestions=core.bot.suggestions)
        chats = _chat_adapters(core, conversation)
        adapters: list[Adapter] = [web_adapter, *chats]
        deliveries.update({adapter.platform: adapter.delivery for adapter in adapters})
        attachments.update({chat.platform: chat.attachments for chat in chats if isinstance(chat, SlackAdapter)})
        for adapter in adapters:
            stack.push_async_callback(adapter.close)
        # Before anything can be asked, and closed before the deliveries that running answers still need.
        await workflows.launch()
        stack.push_async_callback(workflows.close)
        for adapter in adapters:
            await adapter.start()
        checks = _checks(core, adapters)
        console = web.Application(client_max_size=MAX_BODY)
        _add_health(console, checks)
        console.add_routes([web.get("/metrics", _metrics_handler(metrics))])
        web_adapter.add_routes(console)
        webhook_url = None
        if chats:
            webhooks = web.Application(client_max_size=MAX_BODY)
            _add_health(webhooks, checks)
            for adapter in chats:
                adapter.add_routes(webhooks)
            webhook_url = await _listen(stack, webhooks, core.bot.host, core.bot.port, "PROMPTAI_PORT")
        console_url = await _listen(
            stack, console, core.bot.console_host, core.bot.console_port, "PROMPTAI_CONSOLE_PORT"
        )
        await _control(stack, core)
        core.isolation.report_to(metrics)
        stack.push_async_callback(cancelled, asyncio.create_task(core.isolation.run()))
        ready(webhook_url, console_url)
        adapter_checks = AdapterChecks(core.models, core.settings, metrics)
        stack.push_async_callback(adapter_checks.close)
        core.answering.tell(adapter_checks.follow)
        schedule = Schedule(
            lambda: declared(core), core.catalog, lambda entry: run_order(core, order_of(core, entry)), metrics
        )
        stack.push_async_callback(cancelled, asyncio.create_task(follow(core.follow_embedding)))
        scheduled = asyncio.create_task(schedule.run())
        stack.push_async_callback(cancelled, scheduled)
        if core.bot.stale_notice:
            telling = asyncio.create_task(StaleNotices(SqlFreshness(core.engine), deliveries).run(core.went_stale))
            stack.push_async_callback(cancelled, telling)
        await stop.wait()
        log.info("stopping")


def _settle() -> None:
    """Take what is loaded out of the garbage collector's rounds: they are long with all that torch brings along, and nobody
    is answered meanwhile."""
    gc.collect()
    gc.freeze()


async def _control(stack: AsyncExitStack, core: Core) -> None:
    control = web.AppRunner(control_app(core), shutdown_timeout=2.0)
    await control.setup()
    stack.push_async_callback(control.cleanup)
    await open_socket(control, core.settings.data_dir)


def _workflows(core: Core, work: AnswerWork) -> Workflows:
    secret = core.settings.database_url
    return Workflows(
        work=work,
        store=core.store,
        database_url=workflow_database_url(secret.get_secret_value() if secret else None, core.settings.data_dir),
        executor_id=core.bot.executor_id,
    )


def _chat_adapters(core: Core, conversation: Conversation) -> list[Adapter]:
    adapters: list[Adapter] = []
    if core.bot.slack_enabled:
        adapters.append(
            SlackAdapter(conversation, core.bot, slack_parts(core.engine, core.tenants, core.catalog, core.bot))
        )
    if core.bot.teams_enabled:
        adapters.append(TeamsAdapter(conversation, core.bot, core.tenants, core.store, core.store.popular))
    return adapters


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it has cleaned up."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop_then_insist() -> None:
        stop.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)  # a second Ctrl-C ends at once

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop_then_insist)
    return stop


async def _listen(stack: AsyncExitStack, app: web.Application, host: str, port: int, variable: str) -> str:
    # An open event stream or a slow client must not hold up Ctrl-C for long.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as exc:
        raise SettingsError(f"Cannot listen on {host}:{port} ({exc.strerror}). Set {variable} to a free port.") from exc
    address = runner.addresses[0]
    return f"http://{address[0]}:{address[1]}"


def _checks(core: Core, adapters: list[Adapter]) -> Mapping[str, Callable[[], Awaitable[None]]]:
    checks: dict[str, Callable[[], Awaitable[None]]] = {
        "database": core.store.check,
        "index": IndexCheck(core).check,
        "model": core.models.check,
    }
    return checks | {adapter.platform.value: adapter.check for adapter in adapters}


def _add_health(app: web.Application, checks: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(_request: web.Request) -> web.Response:
        results = dict(zip(checks, await asyncio.gather(*map(_state, checks, checks.values())), strict=True))
        ready = all(state == "ok" for state in results.values())
        return web.json_response(
            {"status": "ready" if ready else "not ready", "parts": results}, status=200 if ready else 503
        )

    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz)])


async def _state(part: str, check: Callable[[], Awaitable[None]]) -> str:
    """`ok` or `failing`; why stands in the log, since anybody may ask."""
    try:
        async with asyncio.timeout(5):
            await check()
    except (PipelineError, BotError, TimeoutError) as error:
        log.warning("not_ready", part=part, error=str(error) or "no answer within 5 s")
        return "failing"
    return "ok"


def _metrics_handler(metrics: Metrics) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return handler
