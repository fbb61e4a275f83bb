"""Text that comes from outside, made safe to store: databases refuse some characters that JSON can carry."""

from __future__ import annotations


def clean_text(text: str) -> str:
    """`text` without NUL, and with lone surrogates (half an emoji) replaced.

    >>> clean_text("a\\x00b \\ud83d c")
    'ab ? c'
    """
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
