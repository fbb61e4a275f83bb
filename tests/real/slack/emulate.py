"""A third party's OAuth server for Slack (npm's emulate) as a process on this machine. Installed from npm on first use."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import yaml

CACHE = Path(__file__).parents[3] / ".cache" / "real" / "emulate"
NODE = CACHE / "node_modules" / "node" / "bin" / "node"
PROGRAM = CACHE / "node_modules" / "emulate" / "dist" / "index.js"
PACKAGES = ("emulate@0.12.2", "node@22.23.3")

CLIENT_ID, CLIENT_SECRET, WORKSPACE = "12345.67890", "an-example-secret", "Acme & Sons"


class EmulateMissing(Exception):
    """It cannot be installed here; the message says why."""


def install() -> None:
    """Install it unless it is there. Raises `EmulateMissing`."""
    if PROGRAM.exists() and NODE.exists():
        return
    if shutil.which("npm") is None:
        raise EmulateMissing("npm is not installed: OAuth is not driven for real.")
    CACHE.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(CACHE), *PACKAGES]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as exc:
        raise EmulateMissing(f"npm cannot install {' and '.join(PACKAGES)}.") from exc


@asynccontextmanager
async def running_emulate(workdir: Path, port: int, redirect_url: str, scopes: Sequence[str]) -> AsyncIterator[str]:
    """Yields the address of its Web API; tokens may do what their scopes say and no more."""
    await asyncio.to_thread(install)
    seed = {
        "team": {"name": WORKSPACE, "domain": "acme"},
        "strict_scopes": True,
        "users": [{"name": "developer", "real_name": "Developer", "email": "dev@example.com"}],
        "channels": [{"name": "general"}],
        "oauth_apps": [
            {
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "app_id": "A000000001",
                "name": "promptai",
                "redirect_uris": [redirect_url],
                "scopes": list(scopes),
            }
        ],
    }
    (workdir / "seed.yaml").write_text(yaml.safe_dump({"slack": seed}))
    with (workdir / "emulate.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            str(NODE), str(PROGRAM), "start", "--service", "slack", "--port", str(port), "--seed", "seed.yaml",
            cwd=workdir, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}/api/"
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while True:
                assert process.returncode is None, (workdir / "emulate.log").read_text()
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.post(f"{url}api.test"):
                        break
                await asyncio.sleep(0.1)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
