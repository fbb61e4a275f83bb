"""Zip files from strangers: refused before they can fill memory or disk."""

from __future__ import annotations

import zipfile
import zlib
from typing import IO

from pipeline.errors import DocumentUnreadable

_ENTRIES = 100_000
_RATIO = 200
"""Text rarely shrinks below a hundredth; a bomb shrinks to a thousandth and less."""
_SMALL = 10_000_000
"""Bytes that an entry may unpack to at any ratio."""
_TOTAL = 2_000_000_000
"""Bytes that everything together may unpack to."""


def open_archive(file: IO[bytes] | str) -> zipfile.ZipFile:
    """Errors: `DocumentUnreadable`, also for one whose directory alone is monstrous."""
    try:
        # zipfile says NotImplementedError of versions and compressions that it does not know.
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as exc:
        raise DocumentUnreadable(f"damaged: it cannot be unpacked ({exc})") from exc
    return archive


def check_archive(archive: zipfile.ZipFile, *, total: int = _TOTAL) -> None:
    """Refuse bombs and encrypted archives. Reading is safe then: `zipfile` stops at the size that an entry declares."""
    entries = archive.infolist()
    if len(entries) > _ENTRIES:
        raise DocumentUnreadable(f"{len(entries)} files in it; at most {_ENTRIES} are read")
    size = sum(entry.file_size for entry in entries)
    if size > total:
        raise DocumentUnreadable(f"it unpacks to {size / 1e6:.0f} MB; at most {total / 1e6:.0f} MB are read")
    for entry in entries:
        if entry.file_size > max(_SMALL, entry.compress_size * _RATIO):
            raise DocumentUnreadable(f"a zip bomb: {entry.filename!r} unpacks to {entry.file_size / 1e6:.0f} MB")
        if entry.flag_bits & 1:
            raise DocumentUnreadable("password-protected: save it without a password")


def read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, max_bytes: int) -> bytes:
    """An entry's bytes. Errors: `DocumentUnreadable`."""
    if entry.file_size > max_bytes:
        raise DocumentUnreadable(f"{entry.file_size / 1e6:.1f} MB; at most {max_bytes / 1e6:.1f} MB are read")
    try:
        with archive.open(entry) as stream:
            return stream.read(max_bytes + 1)
    # RuntimeError: encrypted; NotImplementedError: a compression that zipfile does not know.
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError, ValueError) as exc:
        raise DocumentUnreadable(f"damaged: it cannot be unpacked ({exc})") from exc
