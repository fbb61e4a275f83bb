"""Scheduled syncs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from bot.metrics import Metrics
from bot.schedule import Schedule
from pipeline.errors import DeclarationError, SourceNotFound, SyncBusy
from pipeline.knowledge.catalog import SourceStatus
from pipeline.knowledge.sources import Entry

START = datetime(2026, 1, 1, tzinfo=UTC)


class Syncs:
    """Sources, when each was last begun, and what was synced."""

    def __init__(self, **schedules: str) -> None:
        self.entries = [
            Entry(name=name, kind="directory", location="x", schedule=schedule, tenant="acme")
            for name, schedule in schedules.items()
        ]
        self.begun: dict[str, datetime] = {}
        self.done: list[str] = []
        self.errors: dict[str, Exception] = {}
        self.time = START
        self.metrics = Metrics()

    async def sources(self, tenant: str) -> Sequence[SourceStatus]:
        return [
            SourceStatus(name, tenant, "directory", 1, 1, "done", begun, begun, None, ())
            for name, begun in self.begun.items()
        ]

    async def declared(self) -> Sequence[Entry]:
        return self.entries

    async def sync(self, entry: Entry) -> None:
        self.begun[entry.name] = self.time
        if entry.name in self.errors:
            raise self.errors[entry.name]
        self.done.append(entry.name)

    def schedule(self) -> Schedule:
        return Schedule(self.declared, self, self.sync, self.metrics, now=lambda: self.time)

    def count(self, source: str, outcome: str) -> float | None:
        return self.metrics.registry.get_sample_value("promptai_syncs_total", {"source": source, "outcome": outcome})


async def test_a_source_is_synced_when_its_time_has_come() -> None:
    syncs = Syncs(often="every 1h", seldom="every 1d", never="")
    schedule = syncs.schedule()
    await schedule.look()
    await schedule.look()
    assert syncs.done == ["often", "seldom"]
    syncs.time += timedelta(hours=1)
    await schedule.look()
    assert syncs.done == ["often", "seldom", "often"]
    assert syncs.count("often", "done") == 2


@pytest.mark.parametrize("error", [SourceNotFound("away"), KeyError("somebody's own source")])
async def test_a_source_that_fails_is_counted_and_the_others_go_on(error: Exception) -> None:
    syncs = Syncs(broken="every 1h", fine="every 1h")
    syncs.errors["broken"] = error
    await syncs.schedule().look()
    assert syncs.done == ["fine"]
    assert (syncs.count("broken", "failed"), syncs.count("fine", "done")) == (1, 1)


async def test_what_another_replica_is_syncing_is_left_to_it() -> None:
    syncs = Syncs(docs="every 1h")
    syncs.errors["docs"] = SyncBusy("another process")
    await syncs.schedule().look()
    assert syncs.count("docs", "failed") is None


@pytest.mark.parametrize("error", [DeclarationError("knowledge.toml: …"), PermissionError("knowledge.toml")])
async def test_a_file_that_cannot_be_read_now_is_read_again_later(error: Exception) -> None:
    syncs = Syncs(docs="every 1h")

    class Broken(Syncs):
        async def declared(self) -> Sequence[Entry]:
            raise error

    broken = Broken()
    await broken.schedule().look()
    assert broken.done == []
    await syncs.schedule().look()
    assert syncs.done == ["docs"]
