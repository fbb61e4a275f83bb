"""What HyDE's queries find is compared question by question."""

from __future__ import annotations

import numpy as np

from benchmarks.frameworks.hyde_queries import BASELINES, cut, nearest, table
from pipeline.types import Passage


def test_a_draft_is_cut_at_tokens_of_four_characters() -> None:
    assert cut(" abcdefgh ij ", 2) == "abcdefgh"
    assert cut(" abcdefgh ij ", 9) == "abcdefgh ij"


def test_a_page_stands_where_its_nearest_passage_does() -> None:
    passages = [Passage(str(at), "d", "shared", f"{page}#x", page, (page,), "", 0) for at, page in enumerate("aba")]
    vectors = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], dtype=np.float32)
    queries = np.array([[0.8, 0.6], [0.0, 1.0]], dtype=np.float32)
    assert nearest(queries, passages, vectors) == [["b", "a"], ["a", "b"]]


def test_every_query_is_told_beside_both_of_ours() -> None:
    found = {"HyDE": [["x", "gold"], ["gold"]], BASELINES[0]: [["gold"], ["gold"]], BASELINES[1]: [["gold"], ["x"]]}
    lines = table(found, ["gold", "gold"])
    assert lines[2].startswith("| HyDE | 0.815 | 1.000 | -0.185 (")
    assert lines[3].startswith("| promptai, draft | 1.000 | 1.000 |  | +0.500 (")
