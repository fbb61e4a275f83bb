"""Adapters that no server could serve, or that are damaged, are refused before anything is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from pipeline.errors import TrainingError
from pipeline.training.adapter import read_adapter
from tests.fakes.tiny_llama import change_tensors, write_adapter

FIRST_A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "adapter")


def test_an_adapter_is_read_with_its_rank_scale_and_every_projection(folder: Path) -> None:
    adapter = read_adapter(folder)
    assert (adapter.rank, adapter.alpha, len(adapter.pairs)) == (4, 8.0, 2 * 7)
    assert adapter.pairs[1, "down_proj"].a.shape == (4, 96)
    assert adapter.pairs[0, "k_proj"].b.shape == (32, 4)
    assert adapter.manifest == {}


def test_its_manifest_is_read_where_there_is_one(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps({"name": "docs"}))
    assert read_adapter(folder).manifest == {"name": "docs"}


def test_its_hash_changes_with_weights_and_configuration(folder: Path) -> None:
    hashes = {read_adapter(folder).hash}
    write_adapter(folder, config={"lora_alpha": 16})
    hashes.add(read_adapter(folder).hash)
    change_tensors(folder, {FIRST_A: np.zeros((4, 64), np.float32)})
    hashes.add(read_adapter(folder).hash)
    assert len(hashes) == 3


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_shorter_numbers_are_read_as_they_are(folder: Path, kind: str) -> None:
    import safetensors.torch
    import torch

    file = folder / "adapter_model.safetensors"
    shorter = {name: values.to(getattr(torch, kind)) for name, values in safetensors.torch.load_file(file).items()}
    safetensors.torch.save_file(shorter, file)
    assert np.array_equal(read_adapter(folder).pairs[0, "q_proj"].a, shorter[FIRST_A].float().numpy())


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_folder_that_lacks_a_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(TrainingError, match=f"{name} missing"):
        read_adapter(folder)


@pytest.mark.parametrize("name", ["adapter_config.json", "manifest.json"])
@pytest.mark.parametrize("text", ["{", "[]", "\xff"])
def test_broken_json_is_refused(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(TrainingError, match=name):
        read_adapter(folder)


@pytest.mark.parametrize("kept", [0, 7, 100, 5000])
@pytest.mark.parametrize("values", [True, False])
def test_weights_that_were_cut_off_are_refused(folder: Path, kept: int, values: bool) -> None:
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(TrainingError, match="damaged"):
        read_adapter(folder, values=values)


def test_shapes_alone_are_checked_alike(folder: Path) -> None:
    whole, shapes = read_adapter(folder), read_adapter(folder, values=False)
    assert whole.hash == shapes.hash
    assert {at: (p.a.shape, p.b.shape) for at, p in whole.pairs.items()} == {
        at: (p.a.shape, p.b.shape) for at, p in shapes.pairs.items()
    }
    change_tensors(folder, {FIRST_A: np.ones((4, 64), np.int32)})
    with pytest.raises(TrainingError, match="I32"):
        read_adapter(folder, values=False)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"r": 128}, "at most 64"),
        ({"r": None}, "no rank"),
        ({"peft_type": "LOHA"}, "only LoRA"),
        ({"use_dora": True}, "DoRA"),
        ({"use_rslora": True}, "lora_alpha"),
        ({"modules_to_save": ["lm_head"]}, "new tokens"),
        ({"trainable_token_indices": [5]}, "trains tokens"),
        ({"rank_pattern": {"q_proj": 8}}, "ranks differ"),
        ({"alpha_pattern": {"q_proj": 8}}, "scales differ"),
        ({"bias": "lora_only"}, "biases"),
        ({"init_lora_weights": "pissa_niter_16"}, "the original"),
    ],
)
def test_an_option_that_a_server_would_ignore_is_refused(folder: Path, config: dict[str, Any], reason: str) -> None:
    write_adapter(folder, config=config)
    with pytest.raises(TrainingError, match=reason):
        read_adapter(folder)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"base_model.model.model.embed_tokens.weight": np.ones((300, 64), np.float32)}, "without new tokens"),
        ({"base_model.model.lm_head.weight": np.ones((300, 64), np.float32)}, "without new tokens"),
        ({"base_model.model.model.layers.0.mlp.router.lora_A.weight": np.ones((4, 64), np.float32)}, "target_modules"),
        ({"strange": np.ones(3, np.float32)}, "target_modules"),
        ({FIRST_A: None}, "incomplete"),
        ({FIRST_A: np.full((4, 64), np.nan, np.float32)}, "diverged"),
        ({FIRST_A: np.ones((8, 64), np.float32)}, "do not fit rank 4"),
        ({FIRST_A: np.ones((4, 64), np.int32)}, "I32"),
    ],
)
def test_tensors_that_no_server_loads_are_refused(folder: Path, tensors: dict[str, Any], reason: str) -> None:
    change_tensors(folder, tensors)
    with pytest.raises(TrainingError, match=reason):
        read_adapter(folder)


def test_weights_without_any_tensor_are_refused(folder: Path) -> None:
    safetensors.numpy.save_file({}, folder / "adapter_model.safetensors")
    with pytest.raises(TrainingError, match="no tensors"):
        read_adapter(folder)
