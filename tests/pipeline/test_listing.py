"""Drafts that are lists: each item is retrieved for, and more passages are shown in the same room."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from pipeline.listing import FULL_PASSAGE, find, fitting, in_turn, items_of
from pipeline.types import Hit
from tests.fakes.samples import HIT, PASSAGE

METRICS = "Stall Ratio\nPlays > Definition\nAttempts"


def hit(name: str, text: str = "short", neighbours: tuple[str, ...] = ()) -> Hit:
    return replace(HIT, passage=replace(PASSAGE, id=name, text=text), neighbours=neighbours)


@dataclass
class ByDraft:
    """Finds what a script says for each draft and keeps what it was asked."""

    script: dict[str | None, tuple[Hit, ...]]
    asked: list[tuple[str | None, int, float | None]] = field(default_factory=list)

    async def retrieve(
        self,
        question: str,
        *,
        draft: str | None,
        tenant: str,
        k: int,
        trust: float | None = None,
    ) -> tuple[Hit, ...]:
        self.asked.append((draft, k, trust))
        return self.script.get(draft, ())[:k]


@pytest.mark.parametrize(
    ("draft", "items"),
    [
        (METRICS, ("Stall Ratio", "Plays > Definition", "Attempts")),
        ("These three:\n\n- **Plays**\n- `Attempts`\n- Stalls.", ("Plays", "Attempts", "Stalls.")),
        ("1. Sync.\n2) Wait.\n3. Ask.", ("Sync.", "Wait.", "Ask.")),
        ("再生数\n試行回数\n停止率", ("再生数", "試行回数", "停止率")),
        ("Plays\nAttempts\nPlays", ()),  # two
        ("Plays > Definition\nA play is an attempt that showed a frame.\nIt ends with the session.", ()),  # prose
        ("- Plays\n- Attempts\n- Stalls\nThese are counted by day.", ()),  # a list and more
        ("\n".join(["word " * 40] * 3), ()),  # long lines
        ("1. Install it. It needs Python\n2. Make a key\n3. Sync.", ()),  # steps that are explained
        ("- " + "a reason and why it holds " * 4 + "\n- Load\n- Heat", ()),  # reasons
        ("Like this:\n```python\nimport ray\nray.init()\nray.get(1)", ()),  # code, cut within
        ("The ratio of stalls.", ()),
        ("", ()),
    ],
)
def test_a_list_is_told_from_other_drafts_by_its_form(draft: str, items: tuple[str, ...]) -> None:
    assert items_of(draft) == items


async def test_each_item_of_a_list_is_retrieved_for_and_the_items_take_turns() -> None:
    retriever = ByDraft(
        {"Stall Ratio": (hit("s1"), hit("s2")), "Plays > Definition": (hit("p1"), hit("s1")), "Attempts": (hit("a1"),)}
    )
    hits = await find(retriever, "Which metrics?", METRICS, tenant="acme", k=2, trust=0.7)
    assert [each.passage.id for each in hits] == ["s1", "p1", "a1", "s2"]
    assert retriever.asked == [("Stall Ratio", 2, 0.7), ("Plays > Definition", 2, 0.7), ("Attempts", 2, 0.7)]


@pytest.mark.parametrize("draft", [None, "Plays > Definition", "A play is an attempt. It shows a frame."])
async def test_any_other_draft_is_one_query_for_the_usual_number_of_passages(draft: str | None) -> None:
    retriever = ByDraft({draft: tuple(hit(f"p{i}") for i in range(9))})
    assert len(await find(retriever, "What is a play?", draft, tenant="acme", k=5)) == 5
    assert retriever.asked == [(draft, 5, None)]


async def test_short_passages_fill_the_room_where_that_is_wanted() -> None:
    retriever = ByDraft({None: tuple(hit(f"p{i}") for i in range(30))})
    assert len(await find(retriever, "What is a play?", None, tenant="acme", k=5, most=12)) == 12
    assert len(await find(retriever, "What is a play?", None, tenant="acme", k=5, most=2)) == 5
    assert [asked[1] for asked in retriever.asked] == [12, 5]


async def test_a_list_without_end_is_retrieved_for_so_far() -> None:
    retriever = ByDraft({})
    await find(retriever, "Which?", "\n".join(f"Metric {i}" for i in range(50)), tenant="acme", k=5)
    assert len(retriever.asked) == 12


def test_a_passage_that_was_joined_to_another_is_not_shown_again() -> None:
    assert [h.passage.id for h in in_turn([(hit("a", neighbours=("b",)), hit("c")), (hit("b"), hit("c"))])] == [
        "a",
        "c",
    ]


def test_more_passages_are_shown_only_as_far_as_they_fit_the_room_of_the_usual_number() -> None:
    short, long = [hit(f"s{i}") for i in range(40)], [hit(f"l{i}", "x" * FULL_PASSAGE) for i in range(40)]
    assert len(fitting(short, 5, 15)) == 15  # never more than three times as many
    assert len(fitting(long, 5, 15)) == 5  # and never fewer
    mixed = fitting([hit(f"m{i}", "x" * 350) for i in range(40)], 5, 15)
    assert 5 < len(mixed) < 15
    assert sum(len(each.passage.embedded_text) for each in mixed) <= 5 * FULL_PASSAGE
