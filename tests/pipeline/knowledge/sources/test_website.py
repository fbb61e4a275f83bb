"""Websites as sources, served on this machine."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pipeline.errors import DocumentUnreadable, SourceNotFound
from pipeline.knowledge.pages import SqlPages
from pipeline.knowledge.sources import Choice, SourceFile
from pipeline.knowledge.sources.web_client import Refused, Unanswered, WebClient, is_public
from pipeline.knowledge.sources.website import Manners, WebsiteSource
from tests.pipeline.knowledge.support import World, open_world


def page(title: str, *links: str, head: str = "") -> str:
    anchors = "".join(f'<a href="{link}">more</a>' for link in links)
    return f"<html><head>{head}</head><body><main><h1>{title}</h1><p>About {title}.</p>{anchors}</main></body></html>"


class Website:
    """Pages by path; remembers what was asked, and answers 304 to a known ETag."""

    def __init__(self) -> None:
        self.pages: dict[str, str | bytes | int | web.Response] = {}
        self.asked: list[tuple[str, int]] = []
        self.types: dict[str, str] = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        found = self.pages.get(request.path, 404)
        response = self._response(request, found)
        self.asked.append((request.path, response.status))
        return response

    def _response(self, request: web.Request, found: Any) -> web.Response:
        if isinstance(found, web.Response):
            return web.Response(status=found.status, headers=found.headers)
        if isinstance(found, int):
            return web.Response(status=found)
        body = found.encode() if isinstance(found, str) else found
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        kind = self.types.get(request.path, "text/html" if request.path != "/robots.txt" else "text/plain")
        return web.Response(body=body, content_type=kind, headers={"ETag": etag})


@pytest.fixture
async def site() -> AsyncIterator[Website]:
    site = Website()
    app = web.Application()
    app.router.add_get("/{path:.*}", site.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        site.url = str(server.make_url("")).rstrip("/")  # type: ignore[attr-defined]
        site.pages = {
            "/docs/": page("Start", "a", "b.html#part", "/blog/x", "https://elsewhere.test/", "a?sort=1", "mailto:x"),
            "/docs/a": page("A", "deep/c"),
            "/docs/b.html": page("B", "/docs/"),
            "/docs/deep/c": page("C"),
            "/blog/x": page("Blog"),
        }
        yield site


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


def source(world: World, site: Any, **options: Any) -> WebsiteSource:
    manners = Manners(options.pop("max_pages", 100), 0.0, options.pop("allow_private", True))
    pages = SqlPages(world.engine, "shared", "site")
    return WebsiteSource(f"{site.url}/docs/", name="site", pages=pages, manners=manners, **options)


async def paths(source: WebsiteSource, site: Any) -> list[str]:
    return [file.location.removeprefix(site.url) async for file in source.files()]


async def sync(world: World, source: WebsiteSource) -> Any:
    return await world.syncer().sync(source, tenant="shared")


async def test_links_are_followed_within_the_address(world: World, site: Website) -> None:
    assert await paths(source(world, site), site) == ["/docs/", "/docs/a", "/docs/b.html", "/docs/deep/c"]


async def test_passages_are_linked_to_the_page(world: World, site: Any) -> None:
    await sync(world, source(world, site))
    assert {passage.location.removeprefix(site.url) for passage in await world.passages()} == {
        "/docs/", "/docs/a", "/docs/b.html", "/docs/deep/c",
    }  # fmt: skip


async def test_pages_that_have_not_changed_cost_a_304_and_still_lead_on(world: World, site: Website) -> None:
    await sync(world, source(world, site))
    site.asked.clear()
    site.pages["/docs/deep/c"] = page("C, changed")
    report = await sync(world, source(world, site))
    assert (report.unchanged, report.changed, report.removed) == (3, 1, 0)
    statuses = dict(site.asked)
    assert (statuses["/docs/"], statuses["/docs/a"], statuses["/docs/deep/c"]) == (304, 304, 200)


async def test_an_unchanged_page_is_read_again_when_it_must_be_converted_anew(world: World, site: Website) -> None:
    await sync(world, source(world, site))
    report = await world.syncer(target_tokens=60).sync(source(world, site), tenant="shared")
    assert (report.unchanged, report.failed) == (4, ())


async def test_robots_txt_is_honoured(world: World, site: Website) -> None:
    site.pages["/robots.txt"] = "User-agent: promptai\nDisallow: /docs/a\n\nUser-agent: *\nDisallow:"
    assert await paths(source(world, site), site) == ["/docs/", "/docs/b.html"]
    assert "/docs/a" not in dict(site.asked)


async def test_a_robots_txt_that_cannot_be_read_now_allows_nothing(world: World, site: Website) -> None:
    site.pages["/robots.txt"] = 503
    with pytest.raises(SourceNotFound, match=r"robots\.txt: the website answered 503"):
        await paths(source(world, site), site)


async def test_a_page_may_forbid_to_be_indexed_or_followed(world: World, site: Website) -> None:
    site.pages["/docs/a"] = page("A", "deep/c", head='<meta name="robots" content="noindex">')
    site.pages["/docs/b.html"] = page("B", "only-here", head='<meta name="robots" content="nofollow">')
    site.pages["/docs/only-here"] = page("Only here")
    assert await paths(source(world, site), site) == ["/docs/", "/docs/b.html", "/docs/deep/c"]


@pytest.mark.parametrize("packed", [False, True])
async def test_a_sitemap_names_the_pages(world: World, site: Any, packed: bool) -> None:
    index = f"<sitemapindex><sitemap><loc>{site.url}/one.xml</loc></sitemap></sitemapindex>"
    one = "".join(f"<url><loc>{site.url}{path}</loc></url>" for path in ("/docs/deep/c", "/docs/a", "/blog/x"))
    body = f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{one}</urlset>'.encode()
    site.pages |= {"/map.xml": index, "/one.xml": gzip.compress(body) if packed else body}
    found = await paths(source(world, site, sitemap=f"{site.url}/map.xml"), site)
    assert found == ["/docs/deep/c", "/docs/a"]


async def test_a_sitemap_with_entities_is_refused(world: World, site: Any) -> None:
    site.pages["/map.xml"] = '<!DOCTYPE x [<!ENTITY a "aaa"><!ENTITY b "&a;&a;">]><urlset><loc>&b;</loc></urlset>'
    with pytest.raises(SourceNotFound, match="no sitemap"):
        await paths(source(world, site, sitemap=f"{site.url}/map.xml"), site)


async def test_a_page_that_fails_for_now_keeps_its_last_version_and_one_that_is_gone_vanishes(
    world: World, site: Website
) -> None:
    await sync(world, source(world, site))
    site.pages["/docs/a"] = 500
    site.pages["/docs/b.html"] = 404
    report = await sync(world, source(world, site))
    assert (report.removed, [reason for _, reason in report.failed]) == (1, ["the website answered 500"])
    texts = {passage.text.split("\n")[0] for passage in await world.passages()}
    assert {"About A.", "About C."} <= texts
    assert "About B." not in texts


async def test_a_website_that_is_away_changes_nothing(world: World, site: Website) -> None:
    await sync(world, source(world, site))
    site.pages["/docs/"] = 500
    with pytest.raises(SourceNotFound, match="answered 500"):
        await sync(world, source(world, site))
    assert len(await world.passages()) == 4


async def test_more_pages_than_allowed_are_an_error_and_not_half_a_website(world: World, site: Website) -> None:
    with pytest.raises(SourceNotFound, match="max_pages"):
        await paths(source(world, site, max_pages=3), site)


async def test_redirects_out_of_the_address_lead_nowhere(world: World, site: Website) -> None:
    site.pages["/docs/a"] = web.Response(status=302, headers={"Location": "/blog/x"})
    assert await paths(source(world, site), site) == ["/docs/", "/docs/b.html"]


async def test_pages_can_be_chosen_while_all_are_followed(world: World, site: Website) -> None:
    only_deep = source(world, site, choice=Choice(["deep/*"], ["b.html"]))
    assert await paths(only_deep, site) == ["/docs/deep/c"]
    assert "/docs/b.html" not in dict(site.asked)


async def test_other_kinds_of_documents_are_read_and_pictures_are_not(world: World, site: Website) -> None:
    site.pages["/docs/"] = page("Start", "notes.md", "raw", "logo.png")
    site.pages |= {"/docs/notes.md": "# Notes\n\nN.", "/docs/raw": "Plain.", "/docs/logo.png": b"\x89PNG"}
    site.types = {"/docs/notes.md": "text/markdown", "/docs/raw": "text/plain", "/docs/logo.png": "image/png"}
    files = [file async for file in source(world, site).files()]
    assert [file.name for file in files] == ["docs.html", "docs/notes.md", "docs/raw.txt"]


@pytest.mark.parametrize("start", ["127.0.0.1", "localhost"])
async def test_private_addresses_are_refused_unless_the_entry_allows_them(world: World, site: Any, start: str) -> None:
    site.url = site.url.replace("127.0.0.1", start)
    with pytest.raises(SourceNotFound, match="allow_private"):
        await paths(source(world, site, allow_private=False), site)
    assert site.asked == []


@pytest.mark.parametrize("host", ["127。0。0。1", "127．0.0．1", "１２７.0.0.1", "[::127.0.0.1]", "127.0.0.1%2f"])
async def test_private_addresses_in_disguise_are_not_asked(site: Any, host: str) -> None:
    site.pages["/docs/"] = page("Secret")
    async with WebClient(allow_private=False, max_bytes=1000) as client:
        with pytest.raises((Refused, Unanswered)):
            await client.get(f"{site.url}/docs/".replace("127.0.0.1", host))
    assert site.asked == []


async def test_a_page_that_has_moved_elsewhere_is_not_read_again(world: World, site: Any) -> None:
    site.pages["/docs/"] = page("Start")
    website = source(world, site)
    site.pages["/docs/moved"] = web.Response(status=302, headers={"Location": f"{site.url}/private"})
    site.pages["/private"] = page("Not ours")
    with pytest.raises(DocumentUnreadable, match="moved"):
        await asyncio.to_thread(website._load_again, f"{site.url}/docs/moved")


async def test_a_crawl_delay_of_years_is_not_waited_for(
    world: World, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pages["/robots.txt"] = "User-agent: *\nCrawl-delay: 99999999\n"
    site.pages["/docs/"] = page("Start", "b")
    site.pages["/docs/b"] = page("B")
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("pipeline.knowledge.sources.website.asyncio.sleep", sleep)
    assert len([file async for file in source(world, site).files()]) == 2
    assert waited == [60.0]


async def test_a_redirect_into_the_private_network_is_refused(site: Any) -> None:
    site.pages["/go"] = web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})
    client = WebClient(allow_private=True, max_bytes=1000)
    async with client:
        client._allow_private = False
        client._check = lambda url, check=client._check: None if "127.0.0.1" in url else check(url)  # type: ignore
        with pytest.raises(Refused, match=r"169\.254"):
            await client.get(f"{site.url}/go")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "0.0.0.0", "::1", "fe80::1%eth0", "fd00::1",
     "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "224.0.0.1"],
)  # fmt: skip
def test_addresses_of_our_own_network_are_not_public(address: str) -> None:
    assert not is_public(address)


def test_other_addresses_are_public() -> None:
    assert is_public("93.184.216.34")
    assert is_public("2606:2800:220:1:248:1893:25c8:1946")


async def test_a_page_without_end_is_cut_off_and_refused(world: World, site: Any) -> None:
    site.pages["/docs/"] = page("Start") + "x" * 300_000
    found: list[SourceFile] = [file async for file in source(world, site, max_bytes=200_000).files()]
    with pytest.raises(Exception, match=r"at most 0\.2 MB"):
        found[0].load()
