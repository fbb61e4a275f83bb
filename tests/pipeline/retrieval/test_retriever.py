"""From question and draft to hits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from pipeline.errors import IndexUnavailable
from pipeline.retrieval import HashingEmbedder, MemoryKeywords, MemoryVectors, MemoryVisibility, Retriever, Weights
from pipeline.retrieval.protocols import Match, Vectors
from pipeline.types import Filters, Passage
from tests.pipeline.retrieval.support import make_passage

REBUFFERING = make_passage(
    "Rebuffering ratio is the share of viewing time spent waiting for data.",
    document="docs:rebuffering.md",
    path=("Rebuffering",),
)
ALERTS = make_passage(
    "An alert rule fires when a metric crosses its threshold.", document="docs:alerts.md", path=("Alerts",)
)
BILLING = make_passage(
    "Invoices are sent on the first day of each month.", document="docs:billing.md", path=("Billing",)
)
SHARED_STARTUP = make_passage(
    "Startup time is measured from the play request to the first frame.",
    tenant="shared",
    document="docs:startup.md",
    path=("Startup time",),
)
FOREIGN = make_passage("Rebuffering ratio of umbrella's secret event.", tenant="umbrella", path=("Secret",))


class World:
    """Indexes and a catalog with some passages in them."""

    def __init__(self) -> None:
        self.embedder = HashingEmbedder()
        self.vectors = MemoryVectors()
        self.keywords = MemoryKeywords()
        self.catalog = MemoryVisibility()

    async def add(self, *passages: Passage, visible: bool = True) -> None:
        for passage in passages:
            rows = await self.embedder.embed([passage.embedded_text])
            await self.vectors.upsert(passage.tenant, [passage.id], rows)
            await self.keywords.upsert(passage.tenant, [passage])
            if visible:
                self.catalog.show(passage)

    def retriever(self, weights: Weights | None = None) -> Retriever:
        return Retriever(self.embedder, self.vectors, self.keywords, self.catalog, weights)


@pytest.fixture
async def world() -> World:
    world = World()
    await world.add(REBUFFERING, ALERTS, BILLING, SHARED_STARTUP, FOREIGN)
    return world


async def found(world: World, question: str, *, draft: str | None = None, k: int = 3) -> list[str]:
    return [hit.passage.id for hit in await world.retriever().retrieve(question, draft=draft, tenant="acme", k=k)]


async def test_the_passage_about_the_question_comes_first(world: World) -> None:
    assert (await found(world, "What is the rebuffering ratio?"))[0] == REBUFFERING.id
    assert (await found(world, "when are invoices sent"))[0] == BILLING.id


async def test_shared_passages_are_found_beside_the_tenants_own(world: World) -> None:
    assert (await found(world, "how is startup time measured"))[0] == SHARED_STARTUP.id


async def test_another_tenants_passages_are_never_found(world: World) -> None:
    assert FOREIGN.id not in await found(world, "rebuffering ratio of umbrella's secret event", k=50)
    assert FOREIGN.id not in await found(world, "ratio", draft=FOREIGN.text, k=50)


async def test_somebody_of_no_tenant_sees_the_shared_passages_only(world: World) -> None:
    hits = await world.retriever().retrieve("rebuffering alerts invoices", draft=None, tenant="shared", k=10)
    assert {hit.passage.tenant for hit in hits} == {"shared"}


async def test_a_hit_whose_tenant_is_wrong_is_refused_whatever_the_catalog_says(world: World) -> None:
    class LyingCatalog:
        async def visible(self, tenants: Sequence[str], ids: Sequence[str]) -> Mapping[str, Passage]:
            return {ALERTS.id: replace(ALERTS, tenant="umbrella"), BILLING.id: BILLING}

    retriever = Retriever(world.embedder, world.vectors, world.keywords, LyingCatalog())
    hits = await retriever.retrieve("alert rule invoices", draft=None, tenant="acme", k=5)
    assert [hit.passage.id for hit in hits] == [BILLING.id]


async def test_a_hit_explains_itself(world: World) -> None:
    [hit, *_] = await world.retriever().retrieve("What is the rebuffering ratio?", draft=None, tenant="acme", k=1)
    assert {by.query: by.rank for by in hit.found_by} == {"dense(question)": 1, "keyword(question)": 1}
    assert hit.score > 0


async def test_similarity_is_the_cosine_of_question_and_passage(world: World) -> None:
    question = "What is the rebuffering ratio?"
    rows = await world.embedder.embed([question, REBUFFERING.embedded_text])
    [hit, *_] = await world.retriever().retrieve(question, draft=None, tenant="acme", k=1)
    assert hit.similarity == pytest.approx(float(rows[0] @ rows[1]), abs=1e-5)


async def test_similarity_is_known_of_passages_that_only_keywords_found(world: World) -> None:
    weights = Weights(dense=0.0)
    question = "invoices"
    rows = await world.embedder.embed([question, BILLING.embedded_text])

    class BlindVectors(MemoryVectors):
        async def query(self, tenants, vectors, k):
            return [[] for _ in vectors]

    blind = BlindVectors()
    await blind.upsert("acme", [BILLING.id], rows[1:])
    retriever = Retriever(world.embedder, blind, world.keywords, world.catalog, weights)
    [hit] = await retriever.retrieve(question, draft=None, tenant="acme", k=1)
    assert hit.similarity == pytest.approx(float(rows[0] @ rows[1]), abs=1e-5)
    assert [by.query for by in hit.found_by] == ["keyword(question)"]


async def test_a_draft_in_the_documentations_words_finds_what_the_question_could_not(world: World) -> None:
    question = "how long until my video plays"
    draft = "My video plays after the startup time, measured from the play request to the first frame."
    hits = await world.retriever(Weights(distrust=0.1, trust=0.2)).retrieve(question, draft=draft, tenant="acme", k=1)
    assert hits[0].passage.id == SHARED_STARTUP.id
    assert {by.query for by in hits[0].found_by} == {"dense(draft)", "keyword(draft)"}


@pytest.mark.parametrize("draft", ["", "   \n", "…?!", "🙂", "Bananas ripen in a paper bag within days."])
async def test_an_empty_or_unrelated_draft_changes_nothing(world: World, draft: str) -> None:
    question = "What is the rebuffering ratio?"
    without = await world.retriever().retrieve(question, draft=None, tenant="acme", k=5)
    assert await world.retriever().retrieve(question, draft=draft, tenant="acme", k=5) == without


@pytest.mark.parametrize("question", ["", "  \n "])
async def test_an_empty_question_finds_nothing(world: World, question: str) -> None:
    assert await found(world, question) == []


async def test_a_question_without_words_is_no_error(world: World) -> None:
    assert len(await found(world, "🙂 ?!")) <= 3


async def test_invisible_passages_are_dropped_and_others_take_their_places(world: World) -> None:
    garbage = [
        make_passage(f"Rebuffering ratio rebuffering ratio {i}", document=f"docs:old{i}.md", position=i)
        for i in range(300)
    ]
    await world.add(*garbage, visible=False)
    assert REBUFFERING.id in await found(world, "rebuffering ratio", k=2)
    assert len(await found(world, "rebuffering ratio", k=3)) == 3


async def test_all_there_is_is_returned_when_that_is_fewer_than_asked(world: World) -> None:
    assert len(await found(world, "alerts invoices rebuffering startup", k=50)) == 4


async def test_the_same_text_on_two_pages_is_returned_once(world: World) -> None:
    await world.add(replace(BILLING, id="0" * 32, document_id="docs:copy.md", text=BILLING.text.replace(" ", "\n")))
    hits = await world.retriever().retrieve("when are invoices sent", draft=None, tenant="acme", k=10)
    assert sum("Invoices" in hit.passage.text for hit in hits) == 1


async def test_a_catalog_that_shows_nothing_ends_the_search(world: World) -> None:
    empty = Retriever(world.embedder, world.vectors, world.keywords, MemoryVisibility())
    assert await empty.retrieve("rebuffering", draft=None, tenant="acme", k=5) == ()


async def test_a_failing_index_is_reported_not_hidden(world: World) -> None:
    class BrokenKeywords(MemoryKeywords):
        async def query(
            self, tenants: Sequence[str], weighted_texts: Sequence[tuple[str, float]], k: int
        ) -> list[Match]:
            raise IndexUnavailable("the disk is full")

    retriever = Retriever(world.embedder, world.vectors, BrokenKeywords(), world.catalog)
    with pytest.raises(IndexUnavailable, match="disk is full"):
        await retriever.retrieve("rebuffering", draft=None, tenant="acme", k=5)


async def test_neighbouring_passages_are_one_hit_whose_text_reads_on(world: World) -> None:
    parts = [
        make_passage(text, document="docs:zebra.md", path=("Zebra", "Stripes"), position=i)
        for i, text in enumerate(["Zebra stripes confuse flies.", "Zebra stripes differ on every animal."])
    ]
    await world.add(*parts)
    [hit] = await world.retriever().retrieve("zebra stripes", draft=None, tenant="acme", k=1, filters=Filters())
    assert hit.passage.id in {part.id for part in parts}
    [two, *_] = await world.retriever().retrieve("zebra stripes", draft=None, tenant="acme", k=2)
    assert two.passage.text == "Zebra stripes confuse flies.\n\nZebra stripes differ on every animal."
    assert {two.passage.id, *two.neighbours} == {part.id for part in parts}


async def test_what_a_filter_leaves_out_is_not_found(world: World) -> None:
    await world.add(replace(BILLING, id="0" * 32, document_id="docs:fr.md", text="Invoices: factures", language="fr"))
    hits = await world.retriever().retrieve("invoices", draft=None, tenant="acme", k=10, filters=Filters(language="en"))
    assert BILLING.id in {hit.passage.id for hit in hits}
    assert "fr" not in {hit.passage.language for hit in hits}


async def test_keywords_are_looked_up_while_the_question_is_encoded(world: World) -> None:
    asked = asyncio.Event()

    class WaitingEmbedder(HashingEmbedder):
        async def embed(self, texts: Sequence[str]) -> Vectors:
            await asked.wait()
            return await super().embed(texts)

    class Announcing(MemoryKeywords):
        async def query(
            self, tenants: Sequence[str], weighted_texts: Sequence[tuple[str, float]], k: int
        ) -> list[Match]:
            asked.set()
            return []

    retriever = Retriever(WaitingEmbedder(), world.vectors, Announcing(), world.catalog)
    async with asyncio.timeout(5):
        assert await retriever.retrieve("invoices", draft=None, tenant="acme", k=1)


async def test_a_question_finds_the_same_with_and_without_a_say_for_a_draft(world: World) -> None:
    retriever = world.retriever()
    found = await retriever.find("when does an alert fire", tenant="acme", k=2)
    assert found.hits == await retriever.retrieve("when does an alert fire", draft=None, tenant="acme", k=2)
    assert set(found.titles) == {"Alerts", "Rebuffering", "Billing", "Startup time"}  # nobody else's


async def test_a_page_that_a_draft_names_comes_first(world: World) -> None:
    """And nothing is searched anew for it."""
    found = await world.retriever().find("when does an alert fire", tenant="acme", k=2)
    assert found.hits[0].passage == ALERTS
    preferred = await found.preferring("startup TIME", True)
    assert [hit.passage for hit in preferred] == [SHARED_STARTUP, ALERTS]
    assert await found.preferring("Secret", True) == found.hits


async def test_a_page_that_a_doubtful_draft_names_comes_second(world: World) -> None:
    """The best passage stays where it is, also where the draft names its page."""
    found = await world.retriever().find("when does an alert fire", tenant="acme", k=2)
    assert [hit.passage for hit in await found.preferring("Startup time", False)] == [ALERTS, SHARED_STARTUP]
    assert await found.preferring("Alerts", False) == found.hits
    assert await found.preferring("Secret", False) == found.hits


async def test_a_draft_that_is_likely_right_puts_its_page_first_and_an_unlikely_one_changes_nothing(
    world: World,
) -> None:
    retriever = world.retriever()
    plain = await retriever.retrieve("when does an alert fire", draft=None, tenant="acme", k=3)
    for trust, first in ((0.9, BILLING), (0.2, ALERTS)):
        hits = await retriever.retrieve("when does an alert fire", draft="Billing > x", trust=trust, tenant="acme", k=3)
        assert hits[0].passage == first
    assert hits == plain


async def test_nothing_is_found_for_nothing(world: World) -> None:
    found = await world.retriever().find(" ", tenant="acme", k=3)
    assert (found.hits, found.titles, await found.preferring("Alerts", True)) == ((), (), ())
