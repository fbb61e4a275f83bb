"""One process owns the data folder: local Chroma does not see another process's writes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import DataDirectoryBusy

LOCK_FILE = "lock"


@contextmanager
def own_data_dir(folder: Path) -> Iterator[None]:
    """Create the folder and hold its lock. Raises `DataDirectoryBusy`; a killed owner's lock goes with it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # questions are nobody else's to read
        handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise DataDirectoryBusy(
            f"The data folder {folder} cannot be used ({exc.strerror}). Set PROMPTAI_DATA_DIR to one you may write to."
        ) from exc
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            owner = os.pread(handle, 20, 0).decode(errors="replace").strip() or "another process"
            raise DataDirectoryBusy(
                f"The data folder {folder} is in use by process {owner}. Stop it, or set another PROMPTAI_DATA_DIR."
            ) from exc
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)
