"""Passages, and a Chroma server, for tests of retrieval and knowledge."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from pipeline.knowledge.passages import passage_id
from pipeline.types import Passage


def make_passage(
    text: str,
    *,
    tenant: str = "acme",
    document: str = "docs:page.md",
    path: tuple[str, ...] = ("Page",),
    position: int = 0,
) -> Passage:
    """A passage as the splitter makes it."""
    return Passage(
        id=passage_id(tenant, document, path, position, text),
        document_id=document,
        tenant=tenant,
        location=document.partition(":")[2],
        title=path[0],
        heading_path=path,
        text=text,
        position=position,
    )


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def chroma_server(folder: Path, *, port: int | None = None) -> Iterator[str]:
    """The URL of a Chroma server that ends with the block."""
    port = port or free_port()
    program = str(Path(sys.executable).parent / "chroma")
    command = [program, "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(server, f"{url}/api/v2/heartbeat", folder / "server.log")
        yield url
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(10)


def _wait_for(server: subprocess.Popen[bytes], url: str, output: Path) -> None:
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the Chroma server did not start: {output.read_text(errors='replace')}")
