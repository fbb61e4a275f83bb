"""What a crawl reads in pages and sitemaps."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit, urlunsplit

from defusedxml import ElementTree

_LARGEST_SITEMAP = 60_000_000


@dataclass
class _Links(HTMLParser):
    base: str
    found: dict[str, None] = field(default_factory=dict)
    robots: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "base" and values.get("href"):
            self.base = urljoin(self.base, values["href"])
        elif tag == "meta" and values.get("name", "").lower() == "robots":
            self.robots += values.get("content", "").lower()
        elif tag == "a" and values.get("href") and "nofollow" not in values.get("rel", ""):
            with contextlib.suppress(ValueError):  # no address
                self.found[plain_url(urljoin(self.base, values["href"]))] = None


def links_of(body: bytes, url: str) -> tuple[tuple[str, ...], str]:
    """Where an HTML page leads, without fragments, and its `<meta name=robots>`. Blocking."""
    parser = _Links(url)
    parser.feed(body.decode("utf-8", "replace"))
    return (() if "nofollow" in parser.robots else tuple(parser.found)), parser.robots


def plain_url(url: str) -> str:
    """Without fragment, with a lower-case host and a path: equal for the same page. Raises `ValueError`."""
    parts = urlsplit(url.strip())
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), parts.path or "/", parts.query, ""))


def sitemap_urls(body: bytes) -> tuple[list[str], list[str]]:
    """Pages and further sitemaps that a sitemap (XML, gzipped XML or lines of text) names.

    Raises `ValueError` for one that cannot be read.
    """
    if body.startswith(b"\x1f\x8b"):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(body)) as unpacked:
                body = unpacked.read(_LARGEST_SITEMAP)
        except (OSError, EOFError) as exc:
            raise ValueError("a damaged gzip file") from exc
    if not body.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return _urls(body.decode("utf-8", "replace").split()), []
    try:
        root = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError) as exc:  # defusedxml's refusals are ValueErrors
        raise ValueError("no sitemap") from exc
    found = _urls(element.text or "" for element in root.iter() if re.sub(r"\{.*\}", "", element.tag) == "loc")
    return ([], found) if root.tag.endswith("sitemapindex") else (found, [])


def _urls(texts: Iterable[str]) -> list[str]:
    return [plain_url(text) for text in texts if text.strip().startswith(("http://", "https://"))]
