"""An embedder is trained on pairs, resumed after a kill, and written whole or not at all. A model of one layer stands in."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import TrainingError
from pipeline.retrieval import SentenceTransformerEmbedder
from pipeline.training import embedder as training
from pipeline.training.embedder import EmbedderRecipe, Work, finetune
from pipeline.training.pairs import Pair
from tests.fakes.tiny_embedder import tiny_embedder, tiny_pairs

QUICK = EmbedderRecipe(epochs=2, batch=8, learning_rate=0.02, max_tokens=32, bf16=False, patience=9, mixes=(0.5, 1.0))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_embedder(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture
def work(tmp_path: Path, base: Path) -> Work:
    return Work(tiny_pairs(tmp_path / "data" / "pairs.jsonl"), tmp_path / "out", replace(QUICK, base=str(base)))


class Killed(BaseException):
    """The process is gone."""


def quiet(_done: int, _total: int, _what: str) -> None:
    pass


def checkpoints(work: Work) -> Path:
    return work.out.with_name("out.checkpoints")


@pytest.mark.parametrize(("lacking", "expected"), [(1, 5), (4, 6)])
def test_pairs_without_a_hard_negative_are_left_out_unless_they_are_most(
    lacking: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [Pair(f"q{n}", f"p{n}", f"id{n}", f"d{n}") for n in range(6)]
    mined = [None] * lacking + ["id0"] * (6 - lacking)
    monkeypatch.setattr(training, "encode", lambda *_, **__: None)
    monkeypatch.setattr(training, "mine", lambda *_, **__: mined)
    triples = training._triples(None, pairs, QUICK)  # type: ignore[arg-type]
    assert len(triples) == expected
    assert {bool(triple.negative) for triple in triples} == {expected == 5}


async def test_a_trained_embedder_is_a_model_like_any_other_with_its_manifest(work: Work, base: Path) -> None:
    said: list[str] = []
    trained = finetune(work, lambda _done, _total, what: said.append(what))
    losses = [float(each.removeprefix("loss ")) for each in said if each.startswith("loss ")]
    assert losses[-1] < losses[0]
    manifest = json.loads((work.out / "manifest.json").read_text())
    assert manifest["what"] == "embedder"
    assert len(manifest["data_hash"]) == len(manifest["base_hash"]) == 64
    assert manifest["result"]["steps"] == trained.steps > 0
    assert set(manifest["result"]["tried"]) == {"0.5", "1"}
    assert "held-out MRR 0." in (work.out / "loss.svg").read_text()
    assert not checkpoints(work).exists()
    model = SentenceTransformerEmbedder(str(work.out))
    assert model.max_tokens == SentenceTransformerEmbedder(str(base)).max_tokens
    assert model.fingerprint != SentenceTransformerEmbedder(str(base)).fingerprint
    assert (await model.embed(["topic1"])).shape == (1, 32)
    await model.close()
    with pytest.raises(TrainingError, match="exists already"):
        finetune(work, quiet)


def test_a_killed_training_goes_on_from_its_last_whole_checkpoint(work: Work) -> None:
    def die_late(done: int, total: int, what: str) -> None:
        if done > total // 2 and what.startswith("loss"):
            raise Killed

    with pytest.raises(Killed):
        finetune(work, die_late)
    assert not work.out.exists()
    [kept] = checkpoints(work).glob("checkpoint-*")
    broken = checkpoints(work) / "checkpoint-999"  # as if killed again while it wrote one
    shutil.copytree(kept, broken)
    (broken / "trainer_state.json").write_text("{")
    steps: list[int] = []
    finetune(work, lambda done, total, _what: steps.append(done) if total else None)
    assert min(steps) > int(kept.name.removeprefix("checkpoint-"))
    assert (work.out / "manifest.json").is_file()


def test_checkpoints_of_another_training_are_not_gone_on_with(work: Work) -> None:
    with pytest.raises(Killed):
        finetune(work, _die_at_once)
    with pytest.raises(TrainingError, match="another training"):
        finetune(replace(work, recipe=replace(work.recipe, seed=7)), quiet)


def test_a_full_disk_leaves_no_half_embedder_and_says_to_go_on(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training, "write_thresholds", full)
    with pytest.raises(TrainingError, match=r"No space left on device.*goes on"):
        finetune(work, quiet)
    assert not work.out.exists()
    assert list(checkpoints(work).glob("checkpoint-*"))


def test_a_missing_base_is_told_before_anything_is_written(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TrainingError, match="base cannot be loaded"):
        finetune(replace(work, recipe=replace(work.recipe, base="nobody/no-such-model")), quiet)
    assert not checkpoints(work).exists()


def _die_at_once(_done: int, _total: int, _what: str) -> None:
    raise Killed
