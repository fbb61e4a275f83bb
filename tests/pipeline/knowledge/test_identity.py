"""Renames, stamps, editions, near-duplicates, leases and rehearsals of a sync."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from pipeline.errors import SyncBusy
from pipeline.knowledge.leases import Leases
from pipeline.knowledge.sources import SourceFile
from pipeline.knowledge.tables import DocumentRow
from tests.pipeline.knowledge.support import World, open_world

ALERTS = "# Alerts\n\nAn alert fires when five percent of all viewers see an error within the default window."
BILLING = "# Billing\n\nInvoices are sent monthly."


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        world.write("alerts.md", ALERTS)
        world.write("billing.md", BILLING)
        yield world


async def rows(world: World) -> dict[str, DocumentRow]:
    async with world.engine.connect() as connection:
        found = await connection.execute(select(DocumentRow.__table__).where(DocumentRow.visible))
        return {row.key: row for row in found}  # type: ignore[misc]


async def test_a_renamed_document_keeps_its_id_its_history_and_its_passages(world: World) -> None:
    await world.sync()
    before = {passage.id for passage in await world.passages()}
    world.remove("alerts.md")
    world.write("guides/alerting.md", ALERTS)
    report = await world.sync()
    assert (report.added, report.renamed, report.removed, report.unchanged, report.embedded) == (0, 1, 0, 1, 0)
    assert {passage.id for passage in await world.passages()} == before
    [hit, *_] = await world.search("alert fires error")
    assert (hit.passage.document_id, hit.passage.location) == ("docs:alerts.md", "guides/alerting.md")
    assert (await rows(world))["guides/alerting.md"].version == 2
    await world.assert_tidy()
    assert (await world.sync()).unchanged == 2


async def test_a_new_document_at_a_left_place_is_another_document(world: World) -> None:
    await world.sync()
    world.write("moved.md", ALERTS)
    world.write("alerts.md", "# New\n\nSomething else stands here.")
    world.remove("billing.md")
    await world.sync()
    world.remove("alerts.md")
    world.write("again.md", "# New\n\nSomething else stands here.")
    await world.sync()
    world.write("alerts.md", "# Newest\n\nA third page.")
    report = await world.sync()
    assert report.added == 1
    ids = {key: row.id for key, row in (await rows(world)).items()}
    assert len(set(ids.values())) == 3
    assert ids["alerts.md"] == "docs:alerts.md~2"
    await world.assert_tidy()


async def test_of_two_copies_of_a_removed_document_one_is_its_successor(world: World) -> None:
    await world.sync()
    world.remove("alerts.md")
    world.write("one.md", ALERTS)
    world.write("two.md", ALERTS)
    report = await world.sync()
    assert (report.renamed, report.added, report.removed) == (1, 1, 0)
    await world.assert_tidy()


async def test_a_rehearsal_tells_what_would_happen_and_does_nothing(world: World) -> None:
    await world.sync()
    shown = await world.passages()
    world.remove("billing.md")
    world.write("alerts.md", ALERTS + "\n\n## More\n\nMore.")
    world.write("new.md", "# New\n\nNew.")
    world.write("bad.md", b"\x00" * 100)
    report = await world.sync(dry=True)
    assert (report.added, report.changed, report.removed, len(report.failed)) == (1, 1, 1, 1)
    assert (report.embedded, report.passages) == (0, 3)
    assert await world.passages() == shown
    [status] = await world.catalog.sources("shared")
    assert (status.state, status.documents, status.failed) == ("done", 2, ())
    assert (await world.sync()).added == 1


class Stamped:
    """A source that knows without reading whether a document has changed."""

    name, kind = "stamped", "stamped"

    def __init__(self, stamp: str, text: bytes) -> None:
        self.stamp, self.text, self.loads = stamp, text, 0

    async def files(self) -> AsyncIterator[SourceFile]:
        yield SourceFile("https://x.test/a@1", "a.md", self.load, key="a.md", stamp=self.stamp)

    def load(self) -> bytes:
        self.loads += 1
        return self.text


async def test_a_document_with_a_known_stamp_is_not_even_read(world: World) -> None:
    source = Stamped("one", b"# A\n\ntext")
    await world.syncer().sync(source, tenant="shared")
    assert (await world.syncer().sync(source, tenant="shared")).unchanged == 1
    assert source.loads == 1
    source.stamp = "two"
    assert (await world.syncer().sync(source, tenant="shared")).unchanged == 1
    assert (await world.syncer().sync(source, tenant="shared")).unchanged == 1
    assert source.loads == 2


async def test_language_and_release_come_from_the_document_its_path_or_its_source(world: World) -> None:
    world.write("de/v2.1/setup.md", "# Einrichtung\n\nSo geht es.")
    world.write("fr.md", "---\nlang: fr\nversion: '3.0'\n---\n# Page\n\nUne page.")
    world.write("page.html", "<html lang='pt-BR'><body><h1>Página</h1><p>Texto</p></body></html>")
    await world.sync(language="en", release="9")
    found = {key: (row.language, row.release) for key, row in (await rows(world)).items()}
    assert found == {
        "de/v2.1/setup.md": ("de", "v2.1"),
        "fr.md": ("fr", "3.0"),
        "page.html": ("pt-br", "9"),
        "alerts.md": ("en", "9"),
        "billing.md": ("en", "9"),
    }
    passages = {passage.document_id: passage for passage in await world.passages()}
    assert (passages["docs:fr.md"].language, passages["docs:fr.md"].release) == ("fr", "3.0")
    world.write("fr.md", "---\nlang: fr\nversion: '3.1'\n---\n# Page\n\nUne page.")
    report = await world.sync(language="en", release="9")
    assert (report.unchanged, report.embedded) == (5, 0)
    assert {p.release for p in await world.passages() if p.document_id == "docs:fr.md"} == {"3.1"}


async def test_versions_languages_and_copies_of_a_page_share_a_fold(world: World) -> None:
    long = "# Install\n\n" + " ".join(f"Step {number} configures part {number * 7}." for number in range(60))
    world.write("v1/install.md", long)
    world.write("v2/install.md", long + "\n\nAnd restart.")
    world.write("en/limits.md", "# Limits\n\nAt most ten.")
    world.write("de/limits.md", "# Grenzen\n\nHöchstens zehn.")
    await world.sync()
    world.write("copy-of-alerts.md", ALERTS)
    await world.sync(name="other")
    found = {(row.source, key): row.fold for key, row in (await rows(world)).items()}
    assert found["other", "v1/install.md"] == found["other", "v2/install.md"] != ""
    assert found["other", "en/limits.md"] == found["other", "de/limits.md"] != found["other", "v1/install.md"]
    assert found["other", "copy-of-alerts.md"] == found["other", "alerts.md"]
    assert {passage.fold for passage in await world.passages()} == set(found.values())


async def test_a_fold_ends_when_only_one_page_is_left(world: World) -> None:
    world.write("copy.md", ALERTS)
    await world.sync()
    assert (await rows(world))["alerts.md"].fold
    world.write("copy.md", "# Other\n\nNow about something else entirely.")
    await world.sync()
    assert {row.fold for row in (await rows(world)).values()} == {""}
    assert {passage.fold for passage in await world.passages()} == {""}
    world.write("copy.md", ALERTS)
    await world.sync()
    world.remove("copy.md")
    await world.sync()
    assert {passage.fold for passage in await world.passages()} == {""}


async def test_two_processes_never_sync_one_tenant_at_once(world: World) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Stamped):
        async def files(self) -> AsyncIterator[SourceFile]:
            started.set()
            await go_on.wait()
            async for file in super().files():
                yield file

    here, there = world.syncer(holder="here"), world.syncer(holder="there")
    running = asyncio.create_task(here.sync(Slow("1", b"# A\n\ntext"), tenant="acme"))
    await started.wait()
    with pytest.raises(SyncBusy, match="acme"):
        await there.sync(Stamped("1", b"# A\n\ntext"), tenant="acme")
    assert (await there.sync(Stamped("1", b"# A\n\ntext"), tenant="umbrella")).added == 1
    go_on.set()
    assert (await running).added == 1
    assert (await there.sync(Stamped("1", b"# A\n\ntext"), tenant="acme")).unchanged == 1


async def test_a_dead_processes_lease_ends_by_time_or_goes_to_its_successor(world: World) -> None:
    time = datetime(2026, 1, 1, tzinfo=UTC)
    await Leases(world.engine, "dead", lambda: time)._take("acme")  # killed here: nothing gives it back
    with pytest.raises(SyncBusy):
        async with Leases(world.engine, "other", lambda: time).hold("acme"):
            raise AssertionError("taken twice")
    async with Leases(world.engine, "dead", lambda: time).hold("acme"):
        pass
    await Leases(world.engine, "dead", lambda: time)._take("acme")
    async with Leases(world.engine, "other", lambda: time + timedelta(minutes=6)).hold("acme"):
        pass


async def test_a_file_that_is_no_document_is_left_out_without_a_word(world: World) -> None:
    world.write("package.json", '{"name": "x", "version": "1"}')
    world.write("api.json", '{"openapi": "3.0.0", "info": {"title": "Pets"}, "paths": {}}')
    report = await world.sync()
    assert (report.added, report.failed) == (3, ())
    world.write("api.json", '{"name": "x"}')
    assert (await world.sync()).removed == 1


async def test_line_links_lead_to_the_lines_of_each_passage(world: World) -> None:
    text = "---\ntitle: T\n---\n\n# Alerts\n\nFirst.\n\n## Windows\n\n| a | b |\n| --- | --- |\n" + "".join(
        f"| row {number} | some words of row {number} |\n" for number in range(200)
    )

    class Lines(Stamped):
        async def files(self) -> AsyncIterator[SourceFile]:
            yield SourceFile("https://x.test/a.md", "a.md", self.load, lines_url="https://x.test/a.md#L{start}-L{end}")

    await world.syncer().sync(Lines("", text.encode()), tenant="shared")
    passages = sorted(await world.passages(), key=lambda passage: passage.position)
    lines = text.split("\n")
    assert passages[0].location == "https://x.test/a.md#L7-L7"
    assert len(passages) > 3
    for passage in passages[1:]:
        first, last = (int(part.lstrip("L")) for part in passage.location.partition("#")[2].split("-"))
        assert passage.text.split("\n")[-1] == lines[last - 1]
        rows = [line for line in passage.text.split("\n") if line.startswith("| row")]
        assert lines[last - len(rows) : last] == rows
        assert passage.text.startswith("| a | b |")
        assert first in {11, last - len(rows) + 1}
