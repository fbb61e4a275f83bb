"""The git command, run so that neither a repository nor its address can make it run something else."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import SourceNotFound

_TIMEOUT = 900.0
"""Seconds for one command: a first fetch may be large."""
_GUARDS = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "submodule.recurse=false")
_ADDRESS = re.compile(r"https://[^\s-]\S*|ssh://[^\s-]\S*|[\w.][\w.-]*@[\w.][\w.-]*:[^\s:-]\S*")
_SECRET = re.compile(r"(?<=://)[^/@\s]+@")


def is_address(location: str) -> bool:
    """True for `https://…`, `ssh://…` and `git@host:path`. Others (`ext::`, `git://`, `--upload-pack=…`) are no addresses."""
    return _ADDRESS.fullmatch(location) is not None


def git(folder: Path, *arguments: str, remote: bool = False, local_remote: bool = False) -> bytes:
    """Run git in a bare repository; return its output. Blocking.

    Errors: `SourceNotFound` with what git said, without passwords.
    """
    protocols = "https:ssh" if remote else "file" if local_remote else ""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        "GIT_ALLOW_PROTOCOL": protocols or "none",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=20",
        "LC_ALL": "C",
    }
    guards: Sequence[str] = [part for guard in _GUARDS for part in ("-c", guard)]
    try:
        done = subprocess.run(  # noqa: S603  # no shell; addresses and refs were checked, and stand behind `--`
            ["git", *guards, "--git-dir", str(folder), *arguments],  # noqa: S607
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except FileNotFoundError as exc:
        raise SourceNotFound("The command `git` is not installed. Install it to sync Git repositories.") from exc
    except subprocess.TimeoutExpired as exc:
        raise SourceNotFound(f"git took longer than {_TIMEOUT:g} s. Nothing was changed.") from exc
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[-400:]
        raise SourceNotFound(f"git cannot read the repository: {_SECRET.sub('', said)} Nothing was changed.")
    return done.stdout
