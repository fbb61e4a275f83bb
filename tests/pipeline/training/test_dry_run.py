"""A dry run says what training would take, from dimensions alone where the model is not here."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import TrainingError
from pipeline.training.dry_run import dry_run
from pipeline.training.finetune import Job, finetune
from pipeline.training.memory import GB, need, parameters
from pipeline.training.recipe import Dimensions, Hardware, read_recipe
from tests.pipeline.training.tiny import a_data_folder, a_recipe, tiny_base

MANIFESTS = Path("manifests/training")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_data_folder(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("name", ["lora-fsdp-70b", "qlora-fsdp-70b"])
def test_70b_recipes_are_planned_without_the_model(data: Path, tmp_path: Path, name: str) -> None:
    """A built model has exactly the parameters of the arithmetic (70.6 billion); the recipe's GPUs hold what it needs."""
    plan = dry_run(Job(data, read_recipe(MANIFESTS / f"{name}.yaml"), tmp_path / "out", tmp_path))
    assert plan.parameters.base == 70_553_706_496
    assert plan.estimated
    assert plan.fits
    assert plan.hours
    assert plan.hours > 0
    assert list(tmp_path.iterdir()) == []


def test_the_steps_and_tokens_are_those_of_the_training(data: Path, tmp_path: Path) -> None:
    """Where the base is here, its tokenizer counts, and training takes as many steps and tokens as foretold."""
    job = Job(data, a_recipe(tiny_base(tmp_path / "base")), tmp_path / "out", tmp_path)
    plan = dry_run(job)
    made = finetune(job, lambda _: None, lambda _: None)
    assert (plan.steps, plan.tokens, plan.estimated) == (made.steps, made.tokens, False)
    assert plan.hours is None
    assert plan.fits is None


def test_a_base_that_is_not_here_needs_dimensions(data: Path, tmp_path: Path) -> None:
    """The message says where some are written down."""
    recipe = a_recipe(Path("nobody/nothing"))
    with pytest.raises(TrainingError, match=r"models\.yaml"):
        dry_run(Job(data, recipe, tmp_path / "out", tmp_path))


def test_too_little_memory_is_noticed(data: Path, tmp_path: Path) -> None:
    """The bf16 recipe for eight GPUs does not fit on one."""
    recipe = read_recipe(MANIFESTS / "lora-fsdp-70b.yaml")
    hardware = Hardware(gpus=1, memory_gb=80, tflops=989, utilisation=0.3)
    small = recipe.model_copy(update={"hardware": hardware, "batch_tokens": 4096})
    assert not dry_run(Job(data, small, tmp_path / "out", tmp_path)).fits


def test_the_arithmetic_of_memory() -> None:
    """Llama-2-70B has 69.0 billion parameters; in NF4 its projections take 4.127 bits each; sharding divides what is sharded."""
    recipe = read_recipe(MANIFESTS / "qlora-fsdp-70b.yaml")
    llama2 = Dimensions(layers=80, hidden=8192, intermediate=28672, heads=64, kv_heads=8, vocabulary=32000)
    count = parameters(llama2, recipe)
    assert count.base == 68_976_648_192
    assert count.adapter == 32 * 80 * (2 * 16384 + 2 * 9216 + 3 * 36864)
    two = need(llama2, recipe)
    assert two.weights == pytest.approx((68.451 * 4.127 / 8 + 0.5256 * 2) * GB / 2, rel=1e-3)
    assert recipe.hardware
    four = need(llama2, recipe.model_copy(update={"hardware": replace_gpus(recipe.hardware, 4)}))
    assert four.optimizer == two.optimizer / 2
    assert four.activations == two.activations


def replace_gpus(hardware: Hardware, gpus: int) -> Hardware:
    return hardware.model_copy(update={"gpus": gpus})
