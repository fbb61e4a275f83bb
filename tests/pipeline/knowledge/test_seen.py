"""What is remembered of what was seen under one number."""

from __future__ import annotations

from pipeline.knowledge.seen import Seen
from tests.pipeline.retrieval.support import make_passage

OURS = make_passage("Ours.", tenant="acme")
SHARED = make_passage("For all.", tenant="shared")


def test_what_was_noted_is_recalled_under_the_same_number_only() -> None:
    seen = Seen(10)
    seen.note(1, ["acme", "shared"], [OURS.id, SHARED.id, "gone"], {OURS.id: OURS, SHARED.id: SHARED})
    shown = {OURS.id: OURS, SHARED.id: SHARED}
    assert seen.recall(1, ["acme", "shared"], [OURS.id, SHARED.id, "gone", "new"]) == (shown, ["new"])
    assert seen.recall(2, ["acme", "shared"], [OURS.id, "gone"]) == ({}, [OURS.id, "gone"])


def test_a_tenant_is_told_what_is_its_own_and_what_it_was_seen_to_share() -> None:
    seen = Seen(10)
    seen.note(1, ["acme", "shared"], [OURS.id, SHARED.id], {OURS.id: OURS, SHARED.id: SHARED})
    assert seen.recall(1, ["shared"], [OURS.id, SHARED.id]) == ({SHARED.id: SHARED}, [])
    # of umbrella's own passages nobody has asked yet
    assert seen.recall(1, ["umbrella", "shared"], [OURS.id, SHARED.id]) == ({SHARED.id: SHARED}, [OURS.id])


def test_another_number_forgets_what_was_seen_under_the_last() -> None:
    seen = Seen(10)
    seen.note(1, ["acme"], [OURS.id], {OURS.id: OURS})
    seen.note(2, ["acme"], ["gone"], {})
    assert seen.recall(2, ["acme"], [OURS.id, "gone"]) == ({}, [OURS.id])


def test_only_so_much_is_kept() -> None:
    seen = Seen(2)
    for number in range(100):
        seen.note(1, ["acme"], [str(number)], {})
    known = [str(number) for number in range(100) if not seen.recall(1, ["acme"], [str(number)])[1]]
    assert 1 <= len(known) <= 4
    assert "99" in known


def test_without_a_number_nothing_is_remembered() -> None:
    seen = Seen(10)
    seen.note(None, ["acme"], [OURS.id], {OURS.id: OURS})
    assert seen.recall(1, ["acme"], [OURS.id]) == ({}, [OURS.id])
