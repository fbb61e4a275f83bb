"""Which of the ranked passages are shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.retrieval.fusion import Candidate
from pipeline.retrieval.selection import Chosen, select
from pipeline.types import Filters, Passage
from tests.pipeline.retrieval.support import make_passage


def page(name: str, position: int = 0, *, text: str | None = None, section: str = "Section", **fields: str) -> Passage:
    built = make_passage(
        text or f"{name} says {position}", document=f"docs:{name}", path=("Page", section), position=position
    )
    return replace(built, **fields)


def chosen(passages: list[Passage], k: int = 5, filters: Filters | None = None) -> list[Chosen]:
    ranked = [(Candidate(passage.id, 1.0 / (i + 1)), passage) for i, passage in enumerate(passages)]
    return select(ranked, k, filters or Filters())


def names(found: list[Chosen]) -> list[str]:
    return [each.best.document_id.partition(":")[2] for each in found]


def test_neighbours_of_one_section_become_one_hit_in_reading_order() -> None:
    first, second, third = page("a", 3), page("a", 4), page("a", 2)
    [hit, other] = chosen([first, page("b"), second, third], k=3)
    assert hit.shown.text == "a says 2\n\na says 3\n\na says 4"
    assert (hit.shown.id, hit.neighbours) == (first.id, (third.id, second.id))
    assert other.neighbours == ()


def test_a_joined_neighbour_leaves_its_place_to_another_page() -> None:
    assert names(chosen([page("a", 0), page("a", 1), page("b")], k=2)) == ["a", "b"]


def test_at_most_three_passages_are_joined() -> None:
    found = chosen([page("a", position) for position in range(5)], k=5)
    assert [len(each.passages) for each in found] == [3, 2]


@pytest.mark.parametrize("other", [page("a", 1, section="Another"), page("a", 2), page("b", 1)])
def test_what_is_no_neighbour_stays_apart(other: Passage) -> None:
    assert len(chosen([page("a", 0), other])) == 2


def test_one_page_does_not_take_all_places() -> None:
    many = [page("a", 2 * position) for position in range(6)]
    assert names(chosen([*many, page("b"), page("c")], k=5)) == ["a", "a", "a", "b", "c"]


def test_one_page_may_fill_the_places_that_nobody_else_wants() -> None:
    many = [page("a", 2 * position) for position in range(6)]
    found = chosen([*many, page("b")], k=5)
    assert names(found) == ["a", "a", "a", "b", "a"]


def test_of_near_duplicate_pages_the_best_one_is_shown() -> None:
    copies = [page(f"v{i}/a", text=f"release {i} says so", fold="f1") for i in range(4)]
    assert names(chosen([*copies, page("b"), page("c")], k=3)) == ["v0/a", "b", "c"]


def test_near_duplicates_come_last_where_there_is_nothing_else() -> None:
    copies = [page(f"v{i}/a", text=f"release {i} says so", fold="f1") for i in range(2)]
    assert names(chosen([*copies, page("b")], k=3)) == ["v0/a", "b", "v1/a"]


def test_a_tenants_page_and_its_shared_near_duplicate_are_both_shown() -> None:
    mine = page("a", text="our limit is 5", fold="f1")
    shared = page("a", text="the limit is 3", fold="f1", tenant="shared", id="0" * 32)
    assert len(chosen([mine, shared])) == 2


def test_the_same_words_are_shown_once() -> None:
    assert names(chosen([page("a", text="So  it is."), page("b", text="So it\nis.")])) == ["a"]


@pytest.mark.parametrize(
    ("language", "wanted", "allowed"),
    [
        ("", "de", True), ("de", "", True), ("de", "de", True), ("de", "en", False), ("pt-br", "pt", True),
        ("pt", "pt-BR", True), ("pt-pt", "pt-br", False), ("en", "e", False), ("EN", "en", True),
    ],
)  # fmt: skip
def test_a_language_filter_leaves_out_what_is_in_another(language: str, wanted: str, allowed: bool) -> None:
    assert bool(chosen([page("a", language=language)], filters=Filters(language=wanted))) is allowed


@pytest.mark.parametrize(("release", "allowed"), [("2.0", True), ("", True), ("2.1", False)])
def test_a_release_filter_leaves_out_other_releases(release: str, allowed: bool) -> None:
    assert bool(chosen([page("a", release=release)], filters=Filters(release="2.0"))) is allowed
