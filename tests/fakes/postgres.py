"""Starts a throw-away PostgreSQL server on loopback, where PostgreSQL is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class PostgresMissing(Exception):
    """PostgreSQL is not installed here."""


@contextmanager
def run_postgres(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """Yield `postgresql://…` of a new, empty server. Raises `PostgresMissing`.

    `durable`: commits reach the disk, as in production; otherwise the server is faster than any real one.
    """
    binaries = _binaries()
    data = Path("/tmp") / f"promptai-postgres-{os.getpid()}-{folder.name}"
    prefix, user = _unprivileged()
    data.mkdir(mode=0o700)
    try:
        if user is not None:
            shutil.chown(data, user)
        initdb = [*prefix, str(binaries / "initdb"), "-D", str(data), "-U", "promptai", "-A", "trust", "--no-sync"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd="/")
        port = _free_port()
        fsync = "on" if durable else "off"
        options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": fsync}
        server = subprocess.Popen(
            [*prefix, str(binaries / "postgres"), "-D", str(data)]
            + [part for key, value in options.items() for part in ("-c", f"{key}={value}")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        try:
            _wait(port, server)
            yield f"postgresql://promptai@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(timeout=30)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _binaries() -> Path:
    found = shutil.which("initdb")
    candidates = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresMissing("PostgreSQL's server is not installed; these tests run on SQLite only.")


def _unprivileged() -> tuple[list[str], str | None]:
    """PostgreSQL refuses to run as root: then the user `postgres` runs it."""
    if os.getuid() != 0:
        return [], None
    try:
        pwd.getpwnam("postgres")
    except KeyError as exc:
        raise PostgresMissing("PostgreSQL does not run as root and there is no user `postgres`.") from exc
    runuser = shutil.which("runuser")
    if runuser is None:
        raise PostgresMissing("PostgreSQL does not run as root and `runuser` is missing.")
    return [runuser, "-u", "postgres", "--"], "postgres"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if server.poll() is not None:
            raise PostgresMissing(f"PostgreSQL ended at once with status {server.returncode}.")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise PostgresMissing("PostgreSQL did not start within 30 s.")
