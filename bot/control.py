"""A Unix socket in the data folder, so that a command works while `promptai serve` owns the folder.

Only the folder's owner may open the socket (mode 0600); it speaks HTTP with one JSON object a line.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bot.app import Core
from bot.commands import Event, run_command
from bot.errors import SettingsError
from pipeline.errors import DataDirectoryBusy

SOCKET_FILE = "promptai.sock"


def socket_path(data_dir: Path) -> str:
    """Where the socket is: relative where that is shorter, since a Unix socket's path holds about 100 bytes."""
    path = data_dir / SOCKET_FILE
    return min(str(path.absolute()), os.path.relpath(path), key=len)


def control_app(core: Core) -> web.Application:
    """The application behind the socket."""

    async def handle(request: web.Request) -> web.StreamResponse:
        params = await request.json()
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async with aclosing(run_command(core, request.match_info["name"], params)) as events:
            async for event in events:
                await response.write(json.dumps(event).encode() + b"\n")
        return response

    app = web.Application()
    app.add_routes(
        [
            web.post(
                "/{name:ask|search|sync|sources|check_tenants|remove_tenant|promote_embedder|rollback_embedder}", handle
            )
        ]
    )
    return app


async def open_socket(runner: web.AppRunner, data_dir: Path) -> web.UnixSite:
    """Listen on the folder's socket; one left behind by a killed process is replaced."""
    path = socket_path(data_dir)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    before = os.umask(0o177)
    try:
        site = web.UnixSite(runner, path)
        await site.start()
    except OSError as exc:
        raise SettingsError(
            f"The socket {path} cannot be made ({exc}). Set PROMPTAI_DATA_DIR to a folder with a shorter path."
        ) from exc
    finally:
        os.umask(before)
    return site


async def call(data_dir: Path, name: str, params: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
    """Run a command in the process that owns the folder. Raises `DataDirectoryBusy` if it does not listen."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    connector = aiohttp.UnixConnector(path=socket_path(data_dir))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=2**22) as session,
            session.post(f"http://promptai/{name}", json=params) as response,
        ):
            response.raise_for_status()
            async for line in response.content:
                yield json.loads(line)
    except (aiohttp.ClientError, OSError) as exc:
        raise DataDirectoryBusy(
            f"The process that owns {data_dir} does not answer on its socket. It may be starting: try again, or stop it."
        ) from exc
