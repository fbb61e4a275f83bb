"""The adapters that a llama.cpp server loads: converted where they are not yet, held while it runs, removed when unused.

Whoever serves a file keeps a shared lock on it to the end, since a server that died is started again with the same files.
A file is removed under an exclusive lock, which nobody waits for. Who opened it just before finds, once it has its own
lock, that the path names it no more, and makes it again. What a process that was killed left unfinished goes the same way.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.errors import TrainingError
from pipeline.training.gguf_adapter import served_adapter
from pipeline.training.whole import is_at, remove_if_nobody_has_it

_OURS = re.compile(r".+-[0-9a-f]{16}-[0-9a-f]{8}-\d+\.gguf(\.[0-9a-f]+\.unfinished)?")
"""What `served_adapter` calls its files, or left of them when it was killed: others that somebody put there are not ours to
remove."""


@contextmanager
def converted_adapters(adapters: Mapping[str, Path], base: Path, cache: Path) -> Iterator[tuple[Path, ...]]:
    """The GGUF form of each adapter for the GGUF file `base`, kept in `cache` and held until the end. Blocking.

    `adapters`: by name, a PEFT folder or a `.gguf` file. Other versions in `cache`, and unfinished ones, that nobody holds
    are removed.
    Raises `TrainingError`.
    """
    with ExitStack() as held:
        files = tuple(_held(held, name, adapter, base, cache) for name, adapter in adapters.items())
        _remove_unused(cache, keep=files)
        yield files


def _held(held: ExitStack, name: str, adapter: Path, base: Path, cache: Path) -> Path:
    while True:
        file = served_adapter(adapter, base, cache, name=name)
        try:
            handle = os.open(file, os.O_RDONLY)
        except FileNotFoundError:
            continue  # removed by another process just now
        except OSError as exc:
            raise TrainingError(
                f"The adapter {file} cannot be read ({exc.strerror}). Give it rights to be read."
            ) from exc
        held.callback(os.close, handle)  # which gives the lock back
        fcntl.flock(handle, fcntl.LOCK_SH)
        if is_at(handle, file):
            return file


def _remove_unused(cache: Path, *, keep: Sequence[Path]) -> None:
    kept = {file.resolve() for file in keep}
    for file in cache.iterdir() if cache.is_dir() else ():
        if _OURS.fullmatch(file.name) and file.resolve() not in kept:
            remove_if_nobody_has_it(file)
