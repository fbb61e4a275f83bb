"""What every keyword index promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.retrieval import MemoryKeywords, TantivyKeywords
from pipeline.retrieval.protocols import KeywordIndex
from pipeline.types import Passage
from tests.pipeline.retrieval.support import make_passage


@pytest.fixture(params=["memory", "tantivy"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KeywordIndex]:
    built: KeywordIndex = MemoryKeywords() if request.param == "memory" else TantivyKeywords(tmp_path)
    yield built
    await built.close()


ALERTS = make_passage("Alert rules fire when rebuffering rises.", position=0)
BILLING = make_passage("Invoices are sent on the first day of the month.", position=1)
PLAYERS = make_passage("Players report rebuffering events, bitrate and errors.", position=2)
PASSAGES = [ALERTS, BILLING, PLAYERS]


async def ids(
    index: KeywordIndex, *texts: tuple[str, float], tenants: tuple[str, ...] = ("acme",), k: int = 10
) -> list[str]:
    return [match.passage_id for match in await index.query(tenants, texts, k)]


async def test_passages_that_share_rare_words_with_the_question_come_first(index: KeywordIndex) -> None:
    await index.upsert("acme", PASSAGES)
    assert await ids(index, ("which rules fire for rebuffering", 1)) == [ALERTS.id, PLAYERS.id]


async def test_word_forms_case_and_accents_do_not_matter(index: KeywordIndex) -> None:
    await index.upsert("acme", PASSAGES)
    assert await ids(index, ("INVOICING", 1)) == [BILLING.id]
    assert await ids(index, ("invoicé", 1)) == [BILLING.id]


async def test_headings_are_searched_too(index: KeywordIndex) -> None:
    passage = make_passage("Ten minutes.", path=("Alerts", "Cooldown"))
    await index.upsert("acme", [*PASSAGES, passage])
    assert await ids(index, ("cooldown", 1)) == [passage.id]


async def test_weights_decide_between_the_texts_of_a_query(index: KeywordIndex) -> None:
    await index.upsert("acme", PASSAGES)
    assert (await ids(index, ("invoices", 3), ("bitrate", 1)))[0] == BILLING.id
    assert (await ids(index, ("invoices", 1), ("bitrate", 3)))[0] == PLAYERS.id


async def test_a_text_of_no_weight_finds_nothing(index: KeywordIndex) -> None:
    await index.upsert("acme", PASSAGES)
    assert await ids(index, ("invoices", 0)) == []


async def test_at_most_k_are_returned_best_first(index: KeywordIndex) -> None:
    await index.upsert("acme", PASSAGES)
    matches = await index.query(["acme"], [("rebuffering rules", 1)], 10)
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)
    assert all(match.score > 0 for match in matches)
    assert await ids(index, ("rebuffering rules", 1), k=1) == [ALERTS.id]
    assert await ids(index, ("rebuffering rules", 1), k=0) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "?!",
        "AND OR NOT",
        "text:invoices^9",
        '"unclosed',
        "(((",
        "\\",
        "[a TO z]",
        "id:*",
        "\x00\ud800",
        "🙂" * 50,
    ],
)
async def test_no_text_is_an_error(index: KeywordIndex, text: str) -> None:
    await index.upsert("acme", PASSAGES)
    assert isinstance(await index.query(["acme"], [(text, 1)], 5), list)


async def test_query_syntax_is_only_words(index: KeywordIndex) -> None:
    await index.upsert("acme", PASSAGES)
    assert await ids(index, ("-invoices", 1)) == [BILLING.id]
    assert await ids(index, ("invoices AND bitrate", 1)) != []


async def test_a_question_of_forty_thousand_characters_is_answered(index: KeywordIndex) -> None:
    await index.upsert("acme", PASSAGES)
    text = " ".join(f"word{i}" for i in range(5000)) + " invoices invoices"
    assert await ids(index, (text, 1)) == [BILLING.id]


async def test_a_tenant_without_passages_has_no_matches(index: KeywordIndex) -> None:
    assert await ids(index, ("invoices", 1)) == []
    assert await index.count("acme") == 0


@pytest.mark.parametrize("other", ["ACME", "acme/../acme2", "../../etc", "Ä", "a" * 500])
async def test_tenants_do_not_see_each_other_whatever_their_names(index: KeywordIndex, other: str) -> None:
    await index.upsert("acme", [ALERTS])
    await index.upsert(other, [make_passage("Alert rules of somebody else.", tenant=other)])
    assert await ids(index, ("alert rules", 1)) == [ALERTS.id]
    assert await index.count(other) == 1


async def test_several_tenants_are_searched_together(index: KeywordIndex) -> None:
    shared = make_passage("Alert rules are evaluated every minute.", tenant="shared")
    await index.upsert("acme", [ALERTS])
    await index.upsert("shared", [shared, make_passage("Nothing of interest.", tenant="shared", position=1)])
    assert set(await ids(index, ("alert rules", 1), tenants=("acme", "shared"))) == {ALERTS.id, shared.id}
    assert set(await ids(index, ("alert rules", 1), tenants=("acme", "acme"))) == {ALERTS.id}


async def test_a_small_tenant_competes_with_a_large_shared_index(index: KeywordIndex) -> None:
    """In an index of one passage every term is common; together with the shared ones it is as rare as it is."""
    mine = make_passage("Our cooldown for rebuffering alerts is ninety minutes.")
    filler = [make_passage(f"Page {i} about bitrate and players.", tenant="shared", position=i) for i in range(50)]
    worse = make_passage("The word cooldown is in the glossary of terms about bitrate.", tenant="shared", position=99)
    await index.upsert("acme", [mine])
    await index.upsert("shared", [*filler, worse])
    found = await ids(index, ("cooldown for rebuffering alerts", 1), tenants=("acme", "shared"), k=3)
    assert found[0] == mine.id


async def test_upserting_an_id_again_replaces_it(index: KeywordIndex) -> None:
    await index.upsert("acme", PASSAGES)
    await index.upsert("acme", PASSAGES)
    assert await index.count("acme") == 3
    assert await ids(index, ("invoices", 1)) == [BILLING.id]


async def test_deleted_passages_are_found_no_more(index: KeywordIndex) -> None:
    await index.upsert("acme", PASSAGES)
    await index.delete("acme", [BILLING.id, "nothing"])
    assert await ids(index, ("invoices", 1)) == []
    assert await index.count("acme") == 2


async def test_deleting_from_a_tenant_without_passages_is_no_error(index: KeywordIndex) -> None:
    await index.delete("acme", ["nothing"])
    await index.delete("acme", [])
    assert await index.count("acme") == 0


async def test_upserting_nothing_is_no_error(index: KeywordIndex) -> None:
    await index.upsert("acme", [])
    assert await index.count("acme") == 0


async def test_a_dropped_tenant_is_gone_and_can_come_back(index: KeywordIndex) -> None:
    await index.upsert("acme", PASSAGES)
    await index.upsert("umbrella", [make_passage("Invoices", tenant="umbrella")])
    await index.drop("acme")
    await index.drop("acme")
    assert await ids(index, ("invoices", 1)) == []
    assert await index.count("umbrella") == 1
    await index.upsert("acme", [BILLING])
    assert await ids(index, ("invoices", 1)) == [BILLING.id]


async def test_texts_that_utf8_cannot_hold_are_indexed_all_the_same(index: KeywordIndex) -> None:
    odd: Passage = make_passage("broken \udcff character in an invoice")
    await index.upsert("acme", [odd])
    assert await ids(index, ("invoice", 1)) == [odd.id]


async def test_both_implementations_score_alike(tmp_path: Path) -> None:
    """Up to tantivy's one-byte document lengths."""
    memory, disk = MemoryKeywords(), TantivyKeywords(tmp_path)
    for index in (memory, disk):
        await index.upsert("acme", PASSAGES)
    query = [("rebuffering rules and invoices of the month", 3.0), ("bitrate", 1.0)]
    expected = {match.passage_id: match.score for match in await memory.query(["acme"], query, 10)}
    found = {match.passage_id: match.score for match in await disk.query(["acme"], query, 10)}
    assert found == pytest.approx(expected, rel=0.02)


async def test_a_usable_index_passes_its_check(index: KeywordIndex) -> None:
    await index.upsert("acme", PASSAGES)
    await index.check()
