"""Bytes on disk instead of in memory, as long as somebody may read them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable


class Spool:
    """One nameless file for all; it is gone when nobody refers to it or to what `keep` returned."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed when collected
        self._size = 0

    def keep(self, data: bytes) -> Callable[[], bytes]:
        """Store `data`; return what reads it again, from any thread."""
        start, self._size = self._size, self._size + len(data)
        self._file.write(data)
        self._file.flush()
        return lambda: os.pread(self._file.fileno(), len(data), start)

    def __del__(self) -> None:
        self._file.close()
