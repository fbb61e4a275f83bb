"""From ratings and an adapter to a better adapter, on a tiny model: whole, interrupted, and refused."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pipeline.errors import TrainingError
from pipeline.training import manifest
from pipeline.training.adapter import read_adapter
from pipeline.training.encoding import Encoded, encode
from pipeline.training.finetune import Job as PlainJob
from pipeline.training.finetune import finetune as finetune_plain
from pipeline.training.lora import load_tokenizer
from pipeline.training.preferences.forecast import dry_run
from pipeline.training.preferences.model import load_policy
from pipeline.training.preferences.parent import check_parent
from pipeline.training.preferences.rows import read_preferences
from pipeline.training.preferences.run import Job
from pipeline.training.preferences.tuning import finetune
from pipeline.training.rows import file_hash
from pipeline.training.stopping import Stopped
from tests.pipeline.training import tiny
from tests.pipeline.training.interrupting import FILES, Killed, at, kill
from tests.pipeline.training.preferences.toy import a_line, a_ratings_folder, a_recipe, some_lines

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def parent(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of rank 4 that was trained to answer."""
    folder = tmp_path_factory.mktemp("parent")
    data = tiny.a_data_folder(folder / "data")
    recipe = tiny.a_recipe(base, skills=["answer"])
    finetune_plain(PlainJob(data, recipe, folder / "docs", folder), lambda _: None, lambda _: None)
    return folder / "docs"


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_ratings_folder(tmp_path_factory.mktemp("ratings"))


@pytest.fixture(scope="module")
def improved(base: Path, parent: Path, ratings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("improved") / "docs-2"
    train(Job(ratings, a_recipe(base), parent, out, out))
    return out


def train(job: Job, report: Callable[[Any], None] = lambda _: None) -> list[str]:
    """Train; returns what people were told."""
    told: list[str] = []
    finetune(job, report, told.append, lambda _done, _rows: None)
    return told


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def log(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def encoded(base: Path, ratings: Path) -> Encoded:
    rows = [rated.row for rated in read_preferences(ratings, a_recipe()).rows]
    return encode(rows, load_tokenizer(base), 256)


def likelihoods(base: Path, adapter: Path, ratings: Path) -> torch.Tensor:
    """How likely (nats) the adapter finds each rated answer, as PEFT loads it."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(loaded, adapter)
    found = []
    for example in encoded(base, ratings).examples:
        ids = torch.tensor([example.ids])
        with torch.no_grad():
            told = torch.log_softmax(model(input_ids=ids).logits[0, :-1].float(), -1)
        each = told.gather(1, ids[0, 1:, None])[:, 0]
        found.append(each[example.prompt - 1 :].sum())
    return torch.stack(found)


def test_what_was_voted_up_becomes_likelier_than_what_was_voted_down(
    base: Path, parent: Path, ratings: Path, improved: Path
) -> None:
    """Beside the parent, as PEFT loads both; the manifest's rewards say so too."""
    gained = likelihoods(base, improved, ratings) - likelihoods(base, parent, ratings)
    good = torch.tensor([row.good for row in read_preferences(ratings, a_recipe()).rows])
    assert gained[good].mean() > gained[~good].mean() + 1
    rewards = manifest.read(improved).rewards
    assert rewards["margin"] == pytest.approx(rewards["good"] - rewards["bad"])
    assert rewards["margin"] > 0.1


def test_the_folder_is_that_of_a_plain_adapter_and_names_its_parent(
    parent: Path, ratings: Path, improved: Path
) -> None:
    """Rank and alpha are the parent's, the probes too; hashes and versions are in the manifest."""
    assert {path.name for path in improved.iterdir()} == FILES
    adapter, before = read_adapter(improved), read_adapter(parent)
    assert (adapter.rank, adapter.alpha, adapter.pairs.keys()) == (before.rank, before.alpha, before.pairs.keys())
    made = manifest.read(improved)
    assert made.parent is not None
    assert (made.parent.name, made.parent.sha256) == ("docs", file_hash(parent / "adapter_model.safetensors"))
    assert made.data == file_hash(ratings / "kto.jsonl")
    assert made.base == manifest.read(parent).base
    assert (made.skills, made.recipe["rank"], made.steps) == (("answer",), 4, 12)
    assert (improved / "check.json").read_bytes() == (parent / "check.json").read_bytes()


def test_training_starts_exactly_from_the_parent(base: Path, parent: Path, ratings: Path, improved: Path) -> None:
    """The same logits, bit for bit, as PEFT's; so the first step's rewards are zero, and its loss is one half."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16), parent)
    found = check_parent(parent, None, tiny_shape(base))
    policy = load_policy(base, a_recipe(base).model_copy(update=found.shape), found)
    ids = torch.tensor([encoded(base, ratings).examples[0].ids])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(policy(input_ids=ids).logits, plain(input_ids=ids).logits)
    first = log(improved)[0]
    assert (first["rewards/chosen"], first["rewards/rejected"], first["loss"]) == (0, 0, 0.5)


def tiny_shape(base: Path) -> Any:
    from pipeline.training.dry_run import dimensions_of

    return dimensions_of(a_recipe(base), base)


@pytest.mark.parametrize("step", [1, 7])
def test_a_killed_run_goes_on_with_the_same_reference_and_ends_in_the_same_adapter(
    base: Path, parent: Path, ratings: Path, improved: Path, tmp_path: Path, step: int
) -> None:
    """Killed before the first checkpoint and in the second epoch. The reference is the parent, not what was trained since."""
    job = Job(ratings, a_recipe(base), parent, tmp_path / "adapter", tmp_path)
    with pytest.raises(Killed):
        train(job, at(step, kill))
    reference = json.loads((job.out / "checkpoints" / "reference.json").read_text())["ref_logps"]
    torch.testing.assert_close(torch.tensor(reference), likelihoods(base, parent, ratings), rtol=0.02, atol=0.5)
    if (
        step == 7
    ):  # as if it had been killed while the reference was asked: it must not be the half-trained adapter then
        (job.out / "checkpoints" / "reference.json").unlink()
    assert ("Going on" in " ".join(train(job))) == (step > 2)
    expected = load_file(improved / "adapter_model.safetensors")
    for name, tensor in load_file(job.out / "adapter_model.safetensors").items():
        torch.testing.assert_close(tensor, expected[name], rtol=0.01, atol=1e-4)
    assert [line["step"] for line in log(job.out)] == [line["step"] for line in log(improved)]


def test_a_signal_ends_with_a_checkpoint(base: Path, parent: Path, ratings: Path, tmp_path: Path) -> None:
    """SIGTERM ends after the step in progress, saved; the same command goes on there."""
    job = Job(ratings, a_recipe(base, save_steps=100, epochs=1), parent, tmp_path / "adapter", tmp_path)
    with pytest.raises(Stopped) as stopped:
        train(job, at(2, lambda: os.kill(os.getpid(), signal.SIGTERM)))
    assert f"Going on from step {stopped.value.step}." in train(job)


@pytest.mark.parametrize(("stop", "goes_on"), [(interrupt, 20), (kill, 18)])
def test_what_the_reference_has_said_is_not_asked_again(
    base: Path, parent: Path, ratings: Path, tmp_path: Path, stop: Callable[[], None], goes_on: int
) -> None:
    """Stopped after nine batches of two: a signal loses none of them, a kill only the ninth. One step then takes all rows."""
    job = Job(ratings, a_recipe(base, batch=2, accumulation=12, epochs=1), parent, tmp_path / "adapter", tmp_path)
    with pytest.raises((Stopped, Killed)):
        finetune(job, at(1, kill), lambda _: None, lambda done, _rows: stop() if done == 18 else None)
    assert log(job.out) == []
    asked: list[int] = []
    finetune(job, lambda _: None, lambda _: None, lambda done, _rows: asked.append(done))
    assert asked == list(range(goes_on, 25, 2))
    assert [line["loss"] for line in log(job.out)] == [0.5]


def test_too_few_rows_that_fit_into_the_window_are_refused(base: Path, parent: Path, tmp_path: Path) -> None:
    """Before anything is trained, and by the dry run as well."""
    long = [a_line(10**200 + at, good=bool(at % 2)) for at in range(10)]
    job = Job(
        a_ratings_folder(tmp_path, [*some_lines(8, 7), *long]), a_recipe(base), parent, tmp_path / "new", tmp_path
    )
    for start in (lambda: dry_run(job), lambda: train(job)):
        with pytest.raises(TrainingError, match=r"Only 15 of 25 rows fit into max_tokens: 256, .* at least 20\. Raise"):
            start()


def test_a_finished_run_is_not_repeated(
    base: Path, parent: Path, ratings: Path, improved: Path, tmp_path: Path
) -> None:
    """The same command says that it is done; other ratings and another parent are refused, unless they may replace it."""
    assert "trained already" in train(Job(ratings, a_recipe(base), parent, improved, tmp_path), at(1, kill))[0]
    other = a_ratings_folder(tmp_path / "other", some_lines(11, 12))
    for data, adapter in ((other, parent), (ratings, None)):
        with pytest.raises(TrainingError, match="--fresh"):
            train(Job(data, a_recipe(base), adapter, improved, tmp_path))


def test_another_parent_does_not_go_on_from_an_old_checkpoint(
    base: Path, parent: Path, ratings: Path, tmp_path: Path
) -> None:
    """The error names what changed."""
    job = Job(ratings, a_recipe(base), None, tmp_path / "adapter", tmp_path)
    with pytest.raises(Killed):
        train(job, at(3, kill))
    with pytest.raises(TrainingError, match="the adapter it starts from changed"):
        train(Job(ratings, a_recipe(base), parent, job.out, tmp_path))


def test_the_parents_folder_is_not_written_to(base: Path, parent: Path, ratings: Path, tmp_path: Path) -> None:
    """Not even with --fresh: one has to be able to go back."""
    with pytest.raises(TrainingError, match="--out is the folder of --adapter"):
        train(Job(ratings, a_recipe(base), parent, parent, tmp_path, fresh=True))


def test_without_an_adapter_training_begins_at_the_base(base: Path, ratings: Path, tmp_path: Path) -> None:
    """With the recipe's rank; the probes are good answers."""
    train(Job(ratings, a_recipe(base, rank=2, alpha=4, max_steps=2), None, tmp_path / "adapter", tmp_path))
    made = manifest.read(tmp_path / "adapter")
    assert (made.parent, read_adapter(tmp_path / "adapter").rank) == (None, 2)
    assert log(tmp_path / "adapter")[0]["loss"] == 0.5
    assert "[1]" in (tmp_path / "adapter" / "check.json").read_text()


def test_ktos_own_loss_estimates_the_divergence_from_a_batchs_answers(
    base: Path, parent: Path, ratings: Path, tmp_path: Path
) -> None:
    """Zero at the start, and then what the model has moved by; unequal numbers are weighed."""
    data = a_ratings_folder(tmp_path / "data", some_lines(18, 6))
    told = train(Job(data, a_recipe(base, loss="kto"), parent, tmp_path / "adapter", tmp_path))
    assert told[0] == "18 good and 6 bad answers, weighing 1.00 and 2.25."
    assert "drafter in 24, answerer in 24" in told[1]
    moved = [line["kl"] for line in log(tmp_path / "adapter")]
    assert moved[0] == 0
    assert max(moved) > 0


def test_the_dry_run_tells_numbers_weights_and_steps(base: Path, parent: Path, tmp_path: Path) -> None:
    """The steps are those of the training, the adapter's size the parent's."""
    data = a_ratings_folder(tmp_path, some_lines(8, 16))
    plan = dry_run(Job(data, a_recipe(base), parent, tmp_path / "adapter", tmp_path))
    assert (plan.good, plan.bad, plan.weights) == (8, 16, (2.0, 1.0))
    assert plan.training.steps == 12
    assert plan.training.recipe.rank == 4
    assert plan.training.asked * 2 == plan.training.tokens
    assert not (tmp_path / "adapter").exists()
