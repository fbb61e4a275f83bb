"""`promptai finetune --what embedder` says what came out, and forgets an earlier run only when told to."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import embedder_training
from bot.embedder_training import summary, train
from pipeline.training.embedder import Trained, Work


def trained(after: float) -> Trained:
    figures = {"recall@1": 0.5, "recall@10": 0.9, "mrr": 0.6}
    return Trained(900, 100, 880, 3, 56, 0.5, figures, {**figures, "mrr": after}, {"0.5": after}, {})


def test_the_summary_has_the_held_out_figures_and_warns_where_nothing_was_gained() -> None:
    assert "MRR 0.600 -> 0.700" in summary(trained(0.7))[1]
    assert len(summary(trained(0.7))) == 2
    assert "no better than before" in summary(trained(0.6))[2]


@pytest.mark.parametrize("fresh", [False, True])
def test_checkpoints_are_forgotten_only_when_told_to(
    tmp_path: Path, fresh: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "out.checkpoints" / "run.json"
    kept.parent.mkdir()
    kept.write_text("{}")
    works: list[Work] = []
    monkeypatch.setattr(embedder_training, "finetune", lambda work, _progress: works.append(work) or trained(0.7))
    train(tmp_path, tmp_path / "out", base="another", fresh=fresh)
    assert kept.exists() != fresh
    assert works[0].recipe.base == "another"
    assert works[0].pairs == tmp_path / "pairs.jsonl"
