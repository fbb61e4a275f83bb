"""From rows to an adapter, on a tiny model: whole, interrupted, and refused."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from safetensors.torch import load_file

from pipeline.errors import TrainingError
from pipeline.training import manifest
from pipeline.training.finetune import Job, finetune
from pipeline.training.stopping import Stopped
from tests.pipeline.training.interrupting import FILES, Killed, at, kill
from tests.pipeline.training.tiny import a_data_folder, a_recipe, tiny_base

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_data_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def uninterrupted(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted") / "adapter"
    train(Job(data, a_recipe(base, dropout=0.1), out, out))
    return out


def train(job: Job, report: Callable[[Any], None] = lambda _: None) -> list[str]:
    """Train; returns what people were told."""
    told: list[str] = []
    finetune(job, report, told.append)
    return told


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "adapter_model.safetensors")


def test_training_leaves_an_adapter_with_manifest_log_and_curve(base: Path, data: Path, uninterrupted: Path) -> None:
    """The adapter loads in bfloat16, the loss fell, and the folder says what it was made from and how."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    made = manifest.read(uninterrupted)
    assert made.held_out["all"] < made.held_out_before["all"]
    assert set(made.held_out) == {"all", "draft", "answer"}
    assert made.corpus == "c0ffee"
    assert made.rows["draft"]["rows"] == 6
    assert {path.name for path in uninterrupted.iterdir()} == FILES
    assert {tensor.dtype for tensor in weights(uninterrupted).values()} == {torch.bfloat16}
    assert len(weights(uninterrupted)) == 2 * 7 * 2  # layers, projections, A and B
    assert PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), uninterrupted)
    log = [json.loads(line) for line in (uninterrupted / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log if "loss" in line] == list(range(1, made.steps + 1))
    assert ElementTree.parse(uninterrupted / "loss.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_killed_run_goes_on_and_ends_in_the_same_adapter(
    base: Path, data: Path, uninterrupted: Path, tmp_path: Path, step: int
) -> None:
    """Killed before the first checkpoint, between two, and in the second epoch; a half-written checkpoint is passed over."""
    job = Job(data, a_recipe(base, dropout=0.1), tmp_path / "adapter", tmp_path)
    with pytest.raises(Killed):
        train(job, at(step, kill))
    half_written = job.out / "checkpoints" / "checkpoint-9"
    half_written.mkdir()
    (half_written / "adapter_model.safetensors").write_bytes(b"half")
    told = train(job)
    assert ("Going on" in " ".join(told)) == (step > 2)
    assert not half_written.exists()
    expected = weights(uninterrupted)
    for name, tensor in weights(job.out).items():
        torch.testing.assert_close(tensor, expected[name], rtol=0.01, atol=1e-4)
    lines = [
        [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()] for out in (job.out, uninterrupted)
    ]
    assert [line["step"] for line in lines[0]] == [line["step"] for line in lines[1]]


def test_nobody_is_told_of_a_training(base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`trl` would send the hardware and the kind of model to the Hub, unless in CI or offline."""
    monkeypatch.delenv("CI", raising=False)
    told: list[object] = []
    monkeypatch.setattr("trl.trainer.base_trainer.send_telemetry", lambda *_, **options: told.append(options))
    with pytest.raises(Killed):
        train(Job(data, a_recipe(base), tmp_path / "adapter", tmp_path), at(1, kill))
    assert told == []


def test_a_signal_ends_with_a_checkpoint(base: Path, data: Path, tmp_path: Path) -> None:
    """SIGTERM ends after the step in progress, saved; the same command goes on there."""
    job = Job(data, a_recipe(base, save_steps=100), tmp_path / "adapter", tmp_path)
    with pytest.raises(Stopped) as stopped:
        train(job, at(2, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert f"Going on from step {stopped.value.step}." in train(job)
    assert {path.name for path in job.out.iterdir()} == FILES


def test_a_finished_run_is_not_repeated(base: Path, data: Path, uninterrupted: Path, tmp_path: Path) -> None:
    """The same command says that it is done; another recipe is refused, unless it may replace the adapter."""
    told = train(Job(data, a_recipe(base, dropout=0.1), uninterrupted, tmp_path), at(1, kill))
    assert "trained already" in told[0]
    with pytest.raises(TrainingError, match="--fresh"):
        train(Job(data, a_recipe(base, rank=8), uninterrupted, tmp_path))


def test_changed_data_does_not_go_on_from_an_old_checkpoint(base: Path, data: Path, tmp_path: Path) -> None:
    """The error names what changed; --fresh begins anew."""
    job = Job(data, a_recipe(base), tmp_path / "adapter", tmp_path)
    with pytest.raises(Killed):
        train(job, at(3, kill))
    other = a_data_folder(tmp_path / "other", rows=8)
    with pytest.raises(TrainingError, match="the data changed"):
        train(Job(other, a_recipe(base), job.out, tmp_path))
    told = train(Job(other, a_recipe(base, max_steps=1), job.out, tmp_path, fresh=True))
    assert "Going on" not in " ".join(told)


def test_a_full_disk_keeps_the_last_checkpoint(base: Path, data: Path, tmp_path: Path) -> None:
    """A checkpoint that does not fit is removed and reported; with room again, training goes on from the one before."""
    job = Job(data, a_recipe(base), tmp_path / "adapter", tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:  # no file can grow beyond 2,000 bytes: what a full disk does, without filling one
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))

    try:
        with pytest.raises(TrainingError, match=r"checkpoint of step 4 .* Make room"):
            train(job, at(3, fill))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in (job.out / "checkpoints").glob("checkpoint-*")] == ["checkpoint-2"]
    assert "Going on from step 2." in train(job)


def test_an_adapter_that_cannot_be_written_is_reported(base: Path, data: Path, tmp_path: Path) -> None:
    """The last checkpoint stays, so that nothing has to be trained again."""
    job = Job(data, a_recipe(base, max_steps=2), tmp_path / "adapter", tmp_path)
    (job.out / "adapter_config.json").mkdir(parents=True)  # in the file's place
    with pytest.raises(TrainingError, match="cannot be written"):
        train(job)
    (job.out / "adapter_config.json").rmdir()
    assert "Going on from step 2." in train(job)


def test_a_loss_that_is_no_number_ends_training(base: Path, data: Path, tmp_path: Path) -> None:
    """The message names the step and what to change."""
    recipe = a_recipe(
        base, learning_rate=0.99, alpha=10**9, schedule="constant_with_warmup", epochs=30, max_grad_norm=1e9
    )
    with pytest.raises(TrainingError, match="learning_rate"):
        train(Job(data, recipe, tmp_path / "adapter", tmp_path))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"max_tokens": 16}, "None of 12 rows fits"),
        ({"quantisation": "nf4"}, "needs a GPU"),
        ({"base": "nowhere"}, "There is no base model"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    base: Path, data: Path, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    """Each error says what to change."""
    with pytest.raises(TrainingError, match=says):
        train(Job(data, a_recipe(base).model_copy(update=change), tmp_path / "adapter", tmp_path))


@pytest.mark.parametrize("text", ["{broken\n", '{"prompt": "' + "x" * (1 << 20) + '"}\n'])
def test_broken_and_oversized_rows_stop_before_training(base: Path, tmp_path: Path, text: str) -> None:
    """Nothing is trained on the rows that can be read."""
    data = a_data_folder(tmp_path / "data")
    with (data / "train.jsonl").open("a") as stream:
        stream.write(text)
    with pytest.raises(TrainingError, match=r"train.jsonl:13"):
        train(Job(data, a_recipe(base), tmp_path / "adapter", tmp_path))
    assert not (tmp_path / "adapter").exists()


def test_a_damaged_base_is_refused(data: Path, tmp_path: Path) -> None:
    """Weights that are cut off are named."""
    base = tiny_base(tmp_path / "base")
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(TrainingError, match="cannot be loaded"):
        train(Job(data, a_recipe(base), tmp_path / "adapter", tmp_path))
