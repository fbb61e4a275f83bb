"""From rows to an adapter, on a tiny model."""

from __future__ import annotations

from pathlib import Path

from pipeline.training.finetune import Job, finetune
from tests.pipeline.training.tiny import a_data_folder, a_recipe, tiny_base


def test_training_leaves_an_adapter_with_manifest_log_and_curve(tmp_path: Path) -> None:
    """The adapter loads, the loss fell, and the folder says what it was made from."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base, data = tiny_base(tmp_path / "base"), a_data_folder(tmp_path / "data")
    told: list[str] = []
    made = finetune(Job(data, a_recipe(base, epochs=4), tmp_path / "adapter", tmp_path), lambda _: None, told.append)
    assert made.held_out["all"] < made.held_out_before["all"]
    assert PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "adapter")
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "log.jsonl", "loss.svg", "manifest.json"
    }  # fmt: skip
