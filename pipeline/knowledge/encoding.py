"""Bytes of unknown encoding to text."""

from __future__ import annotations

import codecs
import re

from pipeline.errors import DocumentUnreadable

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([a-zA-Z0-9_:.-]{2,40})""", re.IGNORECASE)
_WESTERN = "cp1252"
_HEAD = 4096
_SAMPLE = 64 * 1024
_MOST_UNREADABLE = 0.05
"""A text of which a larger share is control or replacement characters is no text."""


def decode(data: bytes, *, html: bool = False) -> str:
    """Decode by byte order mark, the page's own declaration, UTF-8, or what the bytes look like, in this order.

    Single broken bytes become U+FFFD. Errors: `DocumentUnreadable` for nothing at all and for binary data.
    """
    if not data.strip():
        raise DocumentUnreadable("empty file")
    text = data.decode(_encoding(data, html=html), errors="replace")
    sample = text[:_SAMPLE]
    unreadable = sum(character == "\ufffd" or (character < " " and character not in "\t\n\r\f") for character in sample)
    if "\x00" in sample or unreadable > _MOST_UNREADABLE * len(sample):
        raise DocumentUnreadable("binary data, not text")
    return text


def _encoding(data: bytes, *, html: bool) -> str:
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return name
    if html and (declared := _DECLARED.search(data[:_HEAD])):
        try:
            return codecs.lookup(declared[1].decode("ascii")).name
        except LookupError:
            pass  # an invented name: look at the bytes instead
    if _nearly_utf8(data):
        return "utf-8"
    if b"\x00" in data[:_SAMPLE]:
        return "latin-1"  # binary, or UTF-16 without a mark: refused by the caller
    return _guess(data[:_SAMPLE])


def _nearly_utf8(data: bytes) -> bool:
    """Valid UTF-8, or UTF-8 with a few broken bytes: a multi-byte character is hardly ever right by accident."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        text = data[:_SAMPLE].decode("utf-8", errors="replace")
        broken = text.count("\ufffd")
        proper = sum(character > "\x7f" and character != "\ufffd" for character in text)
        return proper > 4 * broken
    return True


def _guess(sample: bytes) -> str:
    from charset_normalizer import from_bytes  # noqa: PLC0415  # only for the few files that are not UTF-8

    matches = from_bytes(sample)
    best = matches.best()
    if best is None:
        return _WESTERN
    # A few accents fit many alphabets equally well, and Western Europe's is by far the most used of them.
    equal = [match for match in matches if (match.chaos, match.coherence) == (best.chaos, best.coherence)]
    return _WESTERN if any(_WESTERN in match.could_be_from_charset for match in equal) else best.encoding
