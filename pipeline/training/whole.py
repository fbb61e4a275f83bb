"""Files that are written whole or not at all, also by processes that are killed.

Who writes holds an exclusive lock on the unfinished file, which the system gives back for a process that dies: an
unfinished file that can be locked is nobody's any more. Process ids would not tell, since containers that share a folder
have the same ones.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import TrainingError

SUFFIX = ".unfinished"


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """A path to write to, which becomes `file` at the end, or nothing. Raises `TrainingError`. Blocking."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = _locked(file)
        try:
            yield unfinished
            unfinished.replace(file)
        finally:
            with suppress(OSError):
                unfinished.unlink()
            os.close(handle)  # which gives the lock back
    except OSError as exc:
        raise TrainingError(f"{file} cannot be written ({exc.strerror}). Make room or give the folder rights.") from exc


def remove_if_nobody_has_it(file: Path) -> None:
    """Unless somebody holds a lock on it, now or until it is found to be gone (`is_at`)."""
    try:
        handle = os.open(file, os.O_RDWR)  # on NFS an exclusive lock needs writing
    except OSError:  # another process was quicker, or it is not ours after all
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.unlink(missing_ok=True)
    except OSError:  # in use; the next start removes it
        return
    finally:
        os.close(handle)


def is_at(handle: int, file: Path) -> bool:
    """Whether the path still names the file that was opened."""
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


def _locked(file: Path) -> tuple[int, Path]:
    """A new file beside `file`, open and locked."""
    while True:
        unfinished = file.with_name(f"{file.name}.{secrets.token_hex(4)}{SUFFIX}")  # two processes may make it at once
        handle = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if is_at(handle, unfinished):
            return handle, unfinished
        os.close(handle)  # taken for a dead process's and removed, before it was locked
