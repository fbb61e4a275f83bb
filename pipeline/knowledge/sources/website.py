"""A website: the pages of its sitemap, or all that links lead to, within one address."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from pipeline.errors import DocumentUnreadable, SourceNotFound
from pipeline.knowledge.convert import MAX_BYTES, readable, too_large
from pipeline.knowledge.sources.base import Choice, SourceFile, clean_name
from pipeline.knowledge.sources.entry import Entry, Kit, PageMemory, WebPage
from pipeline.knowledge.sources.spool import Spool
from pipeline.knowledge.sources.web_client import USER_AGENT, Refused, Reply, Unanswered, WebClient
from pipeline.knowledge.sources.web_links import links_of, plain_url, sitemap_urls

_KINDS = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "application/pdf": ".pdf",
}
_GONE = frozenset({404, 410})
_SITEMAPS = 500
_LONGEST_URL = 1000
_MAX_PAGES = 5000
_DELAY = 0.5
_LONGEST_DELAY = 60.0
"""Seconds: a `Crawl-delay` of years must not keep a sync running."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How much may be asked of a website."""

    max_pages: int = _MAX_PAGES
    """More than that is an error: a part of a website must not look like all of it."""
    delay: float = _DELAY
    """Seconds between two requests; `Crawl-delay` in robots.txt counts if it is longer."""
    allow_private: bool = False
    """Whether addresses of private networks may be asked."""


class WebsiteSource:
    """Pages below `location`. `robots.txt` is honoured, and pages that have not changed cost a 304."""

    def __init__(
        self,
        location: str,
        *,
        name: str,
        pages: PageMemory,
        sitemap: str = "",
        choice: Choice | None = None,
        manners: Manners | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """`sitemap`: its address; empty: links are followed from `location` on."""
        self.name = clean_name(name)
        self.kind = "website"
        self._start = plain_url(location)
        self._sitemap = sitemap
        self._pages = pages
        self._prefix = _folder(self._start)
        self._choice = choice or Choice()
        self._followed = Choice(exclude=self._choice.exclude)
        self._manners = manners or Manners()
        self._max_bytes = max_bytes

    async def files(self) -> AsyncIterator[SourceFile]:
        known = await self._pages.load()
        seen: set[str] = set()
        spool = Spool()
        async with self._client() as client:
            robots = await self._robots(client)
            delay = max(self._manners.delay, min(float(robots.crawl_delay(USER_AGENT) or 0), _LONGEST_DELAY))
            waiting = deque(await self._first(client))
            reached = set(waiting)
            while waiting:
                url = waiting.popleft()
                if not robots.can_fetch(USER_AGENT, url):
                    continue
                if len(seen) >= self._manners.max_pages:
                    raise SourceNotFound(
                        f"{self._start} has more than {self._manners.max_pages} pages: raise max_pages, or exclude some."
                    )
                if seen:
                    await asyncio.sleep(delay)
                file, links = await self._page(client, url, known.get(url), spool)
                seen.add(url)
                if file is not None and self._choice.wants(self._path(url)):
                    yield file
                new = [link for link in links if link not in reached and not self._sitemap and self._is_ours(link)]
                reached.update(new)
                waiting.extend(new)
        await self._pages.forget([url for url in known if url not in seen])

    async def _page(
        self, client: WebClient, url: str, before: WebPage | None, spool: Spool
    ) -> tuple[SourceFile | None, Iterable[str]]:
        """The page's document, if it is one, and where it leads."""
        try:
            reply = await client.get(url, _conditions(before))
        except (Refused, Unanswered) as exc:
            return self._failed(url, str(exc), before)
        if reply.status == 304 and before is not None:
            return self._file(url, before, partial(self._load_again, url)), before.links
        if reply.status in _GONE or (reply.url != url and not self._is_ours(plain_url(reply.url))):
            return None, ()
        if reply.status != 200:
            return self._failed(url, f"the website answered {reply.status}", before)
        page, robots = await asyncio.to_thread(_read_page, reply)
        if "noindex" in robots or "none" in robots.replace(" ", "").split(","):
            return None, page.links
        await self._pages.store(url, page)
        return self._file(url, page, spool.keep(reply.body)), page.links

    def _file(self, url: str, page: WebPage, load: object) -> SourceFile | None:
        name = _name(url, page.media_type)
        if name is None:
            return None
        return SourceFile(url, name, partial(self._checked, load), key=url, stamp=f"sha256:{page.body_hash}")

    def _checked(self, load: object) -> bytes:
        data: bytes = load()  # type: ignore[operator]
        if len(data) > self._max_bytes:
            raise too_large(len(data), self._max_bytes)
        return data

    def _failed(self, url: str, reason: str, before: WebPage | None) -> tuple[SourceFile, Iterable[str]]:
        """A document that cannot be read now keeps its last version; where it led, the crawl still goes."""
        if url == self._start and not self._sitemap:
            raise SourceNotFound(f"{url}: {reason}. Nothing was changed.")

        def load() -> bytes:
            raise DocumentUnreadable(reason)

        return SourceFile(url, "page.html", load, key=url), before.links if before else ()

    def _load_again(self, url: str) -> bytes:
        """A page that has not changed, when it is needed all the same: a new version of ours reads it differently."""

        async def get() -> bytes:
            async with self._client() as client:
                reply = await client.get(url)
                if reply.status != 200:
                    raise DocumentUnreadable(f"the website answered {reply.status}")
                if reply.url != url and not self._is_ours(plain_url(reply.url)):
                    raise DocumentUnreadable("it has moved to another website")
                return reply.body

        time.sleep(self._manners.delay)
        try:
            return asyncio.run(get())
        except (Refused, Unanswered) as exc:
            raise DocumentUnreadable(str(exc)) from exc

    async def _robots(self, client: WebClient) -> RobotFileParser:
        """As RFC 9309 says: no robots.txt allows everything; one that cannot be read now allows nothing."""
        url = urljoin(self._start, "/robots.txt")
        try:
            reply = await client.get(url)
        except (Refused, Unanswered) as exc:
            raise SourceNotFound(f"{url}: {exc}. Nothing was changed.") from exc
        if reply.status >= 500 or reply.status == 429:
            raise SourceNotFound(f"{url}: the website answered {reply.status}. Nothing was changed.")
        parser = RobotFileParser(url)
        parser.parse(reply.body.decode("utf-8", "replace").splitlines())
        return parser

    async def _first(self, client: WebClient) -> list[str]:
        """Where to begin: the sitemap's pages, or the start."""
        if not self._sitemap:
            return [self._start]
        pages: dict[str, None] = {}
        maps, read = deque([self._sitemap]), 0
        while maps and read < _SITEMAPS:
            url, read = maps.popleft(), read + 1
            try:
                reply = await client.get(url)
                if reply.status != 200:
                    raise ValueError(f"the website answered {reply.status}")
                found, more = await asyncio.to_thread(sitemap_urls, reply.body)
            except (Refused, Unanswered, ValueError) as exc:
                raise SourceNotFound(f"{url}: {exc}. Nothing was changed.") from exc
            pages.update(dict.fromkeys(page for page in found if self._is_ours(page)))
            maps.extend(more)
        return list(pages)

    def _is_ours(self, url: str) -> bool:
        within = url == self._start or url.startswith(self._prefix)
        # questions to a website (searches, sort orders) have no end
        return within and len(url) <= _LONGEST_URL and "?" not in url and self._followed.wants(self._path(url))

    def _path(self, url: str) -> str:
        """What include and exclude look at: the address below `location`."""
        return url.removeprefix(self._prefix)

    def _client(self) -> WebClient:
        return WebClient(allow_private=self._manners.allow_private, max_bytes=self._max_bytes)


def _folder(url: str) -> str:
    """The address that all pages begin with: `url`, or the folder of the page that it names."""
    if url.endswith("/"):
        return url
    above, _, last = url.rpartition("/")
    return f"{above}/" if "." in last else f"{url}/"


def _conditions(before: WebPage | None) -> Mapping[str, str]:
    if before is None:
        return {}
    conditions = {"If-None-Match": before.etag, "If-Modified-Since": before.last_modified}
    return {name: value for name, value in conditions.items() if value}


def _read_page(reply: Reply) -> tuple[WebPage, str]:
    """The page, and what it says to robots. Blocking."""
    links, robots = ((), "")
    if _KINDS.get(reply.media_type) == ".html":
        links, robots = links_of(reply.body, reply.url)  # type: ignore[assignment]
    body_hash = hashlib.sha256(reply.body).hexdigest()
    page = WebPage(reply.etag, reply.last_modified, body_hash, reply.media_type[:100], tuple(links))
    return page, f"{robots},{reply.robots.lower()}"


def _name(url: str, media_type: str) -> str | None:
    """The path, with the ending of its kind; None for pictures and the like."""
    path = unquote(urlsplit(url).path).strip("/") or "index"
    ending = _KINDS.get(media_type)
    if ending is None:
        return path if readable(path) else None
    return path if PurePosixPath(path).suffix.lower() == ending else path + ending


class WebsiteEntry(Entry):
    """`kind = "website"`."""

    sitemap: str = ""
    max_pages: int = _MAX_PAGES
    delay: float = _DELAY
    allow_private: bool = False

    def open(self, kit: Kit) -> WebsiteSource:
        if not self.location.startswith(("http://", "https://")):
            raise self.wrong("location", "write an address that begins with https://")
        if kit.pages is None:
            raise self.wrong("kind", "a website needs the database to remember pages")
        return WebsiteSource(
            self.location,
            name=self.name,
            pages=kit.pages,
            sitemap=self.sitemap,
            choice=self.choice,
            manners=Manners(self.max_pages, self.delay, self.allow_private),
        )
