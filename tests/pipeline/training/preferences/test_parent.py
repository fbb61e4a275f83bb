"""The adapter to improve is checked before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from pipeline.errors import TrainingError
from pipeline.training.base import Base
from pipeline.training.manifest import Parent
from pipeline.training.preferences.parent import check_parent
from pipeline.training.recipe import Dimensions, Module

SHAPE = Dimensions(layers=2, hidden=8, intermediate=16, heads=2, kv_heads=1, vocabulary=32)
BASE = Base("a-base", "b" * 64)
CONFIG = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "k_proj"]}
MANIFEST = {"name": "docs", "base": {"name": "a-base", "sha256": "b" * 64}, "data": "d1", "skills": ["answer"]}


def tensors(*, layers: int = 2, hidden: int = 8) -> dict[str, Any]:
    made = {}
    for layer in range(layers):
        for name, outputs in (("q_proj", hidden), ("k_proj", hidden // 2)):
            key = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            made[f"{key}.lora_A.weight"] = np.ones((2, hidden), np.float32)
            made[f"{key}.lora_B.weight"] = np.ones((outputs, 2), np.float32)
    return made


def an_adapter(folder: Path, weights: dict[str, Any] | None = None, **changes: Any) -> Path:
    """`changes`: of the configuration; `manifest`: of the manifest."""
    told = MANIFEST | changes.pop("manifest", {})
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | changes))
    (folder / "manifest.json").write_text(json.dumps(told))
    save_file(tensors() if weights is None else weights, folder / "adapter_model.safetensors")
    return folder


def test_the_new_adapter_has_the_rank_alpha_and_modules_of_its_parent(tmp_path: Path) -> None:
    """And its manifest will name the parent, the hash of its weights, and of what it was trained on."""
    found = check_parent(an_adapter(tmp_path), BASE, SHAPE)
    assert found.shape == {"rank": 2, "alpha": 4, "modules": (Module.Q, Module.K)}
    assert (found.told.name, found.told.data, len(found.told.sha256)) == ("docs", "d1", 64)


def test_all_ancestors_are_named(tmp_path: Path) -> None:
    """What they were trained on was learned as well."""
    first = {"name": "docs-0", "sha256": "0" * 64, "data": "d0"}
    told = check_parent(an_adapter(tmp_path, manifest={"parent": first}), BASE, SHAPE).told
    assert (told.data, told.parent) == ("d1", Parent("docs-0", "0" * 64, "d0"))
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST | {"parent": "docs-0"}))
    with pytest.raises(TrainingError, match="names a parent that cannot be read"):
        check_parent(tmp_path, BASE, SHAPE)


def test_an_adapter_from_elsewhere_is_taken_by_its_shapes(tmp_path: Path) -> None:
    """Without a manifest nothing says what it was trained on and for."""
    (an_adapter(tmp_path) / "manifest.json").unlink()
    assert check_parent(tmp_path, BASE, SHAPE).told.name == tmp_path.name


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"manifest": {"skills": ["draft"]}}, "trained for draft and not to answer .* sft.jsonl"),
        ({"manifest": {"base": {"name": "other", "sha256": "c" * 64}}}, "trained on other .* --base"),
        ({"weights": tensors(hidden=4)}, "another base: its layer 0 q_proj is 4 x 4, and the base's 8 x 8"),
        ({"weights": tensors(layers=1)}, "does not adapt layer 1 .* the base has 2 layers"),
        ({"weights": tensors(layers=3)}, "adapts layer 2 .* the base has 2 layers"),
        ({"r": 128}, "rank 128"),
        ({"use_dora": True}, "use_dora"),
        ({"lora_alpha": 1.5}, "lora_alpha 1.5"),
        ({"weights": tensors() | {"base_model.model.lm_head.weight": np.ones((2, 2), np.float32)}}, "new tokens"),
        ({"weights": {name: value * np.nan for name, value in tensors().items()}}, "not finite"),
    ],
)  # fmt: skip
def test_an_adapter_that_cannot_be_improved_is_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    """A drafter, one for another base, and what no server could serve; each with what to do."""
    with pytest.raises(TrainingError, match=says):
        check_parent(an_adapter(tmp_path, **changes), BASE, SHAPE)


def test_a_damaged_adapter_is_refused(tmp_path: Path) -> None:
    weights = an_adapter(tmp_path) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(TrainingError, match="damaged"):
        check_parent(tmp_path, BASE, SHAPE)
