"""The block between `---` lines that many documentation tools put before a page."""

from __future__ import annotations

import re

_BLOCK = re.compile(
    r"\A\ufeff?(?:---[ \t]*\r?\n(.*?)(?:^)(?:---|\.\.\.)|\+\+\+[ \t]*\r?\n(.*?)^\+\+\+)[ \t]*(?:\r?\n|\Z)",
    re.DOTALL | re.MULTILINE,
)
_TITLE = re.compile(r"""^title\s*[:=]\s*(?P<quote>["']?)(?P<title>.+?)(?P=quote)\s*$""", re.MULTILINE | re.IGNORECASE)
_KEY = re.compile(r"^\s*(?:[\w.-]+\s*[:=]|#|-\s|\[)", re.MULTILINE)


def split_front_matter(text: str) -> tuple[str | None, str]:
    """Return its title, if it has one, and the text behind it.

    A page that begins with a horizontal rule has no front matter: a block without any `key:` is left alone.
    """
    block = _BLOCK.match(text)
    if block is None:
        return None, text
    content = block[1] if block[1] is not None else block[2]
    if content.strip() and not _KEY.search(content):
        return None, text
    title = _TITLE.search(content)
    return (title["title"].strip() if title else None), text[block.end() :]
