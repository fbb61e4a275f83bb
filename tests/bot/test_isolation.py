"""The watch over tenants' isolation."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bot.isolation import IsolationWatch
from bot.metrics import Metrics
from bot.texts import apology_for
from pipeline.errors import IndexUnavailable, TenantRefused
from pipeline.knowledge.canaries import IsolationReport, Leak
from pipeline.retrieval.guard import GuardedRetriever
from pipeline.retrieval.retriever import ANYTHING
from pipeline.types import Filters, Findings, Hit

LEAK = IsolationReport(("acme", "umbrella"), (Leak("acme", "umbrella", "vectors"),), ())
CLEAN = IsolationReport(("acme", "umbrella"), (), ())


class Enough(Exception):
    """Ends an endless loop."""


class ScriptedCanaries:
    """Reports in the order given; an exception is raised."""

    def __init__(self, *reports: IsolationReport | Exception) -> None:
        self.reports = list(reports)
        self.planted: list[str] = []

    async def plant(self, tenant: str) -> None:
        self.planted.append(tenant)

    async def check(self, tenants: Sequence[str]) -> IsolationReport:
        report = self.reports.pop(0)
        if isinstance(report, Exception):
            raise report
        return report


class Nothing:
    async def retrieve(
        self,
        question: str,
        *,
        draft: str | None,
        tenant: str,
        k: int,
        filters: Filters = ANYTHING,
        trust: float | None = None,
    ) -> tuple[Hit, ...]:
        return ()

    async def find(self, question: str, *, tenant: str, k: int, filters: Filters = ANYTHING) -> Findings:
        async def preferring(title: str, first: bool) -> tuple[Hit, ...]:
            return ()

        return Findings((), (), preferring)


async def tenants() -> Sequence[str]:
    return ["acme", "umbrella"]


def watch(canaries: ScriptedCanaries, metrics: Metrics, checks: int) -> tuple[IsolationWatch, GuardedRetriever]:
    guarded = GuardedRetriever(Nothing())
    left = [None] * checks

    async def sleep(seconds: float) -> None:
        left.pop()
        if not left:
            raise Enough

    return IsolationWatch(canaries, tenants, guarded, metrics, sleep=sleep), guarded  # type: ignore[arg-type]


async def test_a_leak_refuses_the_tenant_and_is_counted() -> None:
    canaries, metrics = ScriptedCanaries(LEAK), Metrics()
    watching, guarded = watch(canaries, metrics, 1)
    await watching.check()
    assert canaries.planted == ["acme", "umbrella"]
    assert guarded.refused == {"acme"}
    labels = {"reader": "acme", "owner": "umbrella", "place": "vectors"}
    assert metrics.registry.get_sample_value("promptai_tenant_leaks_total", labels) == 1
    assert metrics.registry.get_sample_value("promptai_refused_tenants") == 1


async def test_a_mended_tenant_is_answered_again() -> None:
    metrics = Metrics()
    watching, guarded = watch(ScriptedCanaries(LEAK, CLEAN), metrics, 2)
    with pytest.raises(Enough):
        await watching.run()
    assert guarded.refused == frozenset()
    assert metrics.registry.get_sample_value("promptai_refused_tenants") == 0
    assert metrics.registry.get_sample_value("promptai_isolation_checks_total") == 2


@pytest.mark.parametrize("error", [IndexUnavailable("away"), RuntimeError("a library's own")])
async def test_a_check_that_cannot_be_made_forgives_nobody_and_is_made_again(error: Exception) -> None:
    metrics = Metrics()
    watching, guarded = watch(ScriptedCanaries(LEAK, error, LEAK), metrics, 3)
    with pytest.raises(Enough):
        await watching.run()
    assert guarded.refused == {"acme"}
    assert metrics.registry.get_sample_value("promptai_isolation_checks_total") == 2


def test_a_refused_person_gets_a_sentence_that_names_nobody() -> None:
    said = apology_for(TenantRefused("Tenant 'acme' can reach another tenant's documents"))
    assert "acme" not in said
    assert "safety check" in said


async def test_a_refused_tenant_is_searched_for_in_no_way() -> None:
    """With a draft or without, and nobody else is refused."""
    guarded = GuardedRetriever(Nothing())
    guarded.refuse(["acme"])
    with pytest.raises(TenantRefused):
        await guarded.retrieve("x", draft=None, tenant="acme", k=1)
    with pytest.raises(TenantRefused):
        await guarded.find("x", tenant="acme", k=1)
    assert (await guarded.find("x", tenant="umbrella", k=1)).hits == ()
