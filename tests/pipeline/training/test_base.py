"""Bases: folders as they are, GGUF files converted once, anything else refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import TrainingError
from pipeline.training import base as base_module
from pipeline.training.base import base_model, describe


def a_folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_text("{}")
    return path


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    """A Hugging Face folder is not copied; its one weights file is its identity."""
    folder = a_folder(tmp_path / "mine", "config.json", "model.safetensors", "tokenizer.json")
    assert base_model(str(folder), tmp_path / "cache") == folder
    assert describe(folder).name == "mine"
    assert len(describe(folder).sha256) == 64


@pytest.mark.parametrize(
    ("names", "says"),
    [(("config.json", "tokenizer.json"), "no model"), (("config.json", "model.safetensors"), "no tokenizer")],
)
def test_half_a_folder_is_refused(tmp_path: Path, names: tuple[str, ...], says: str) -> None:
    """A folder without weights or without a tokenizer is named."""
    with pytest.raises(TrainingError, match=says):
        base_model(str(a_folder(tmp_path / "half", *names)), tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "/no/such/model.gguf", "nobody-at-all/no-such-model"])
def test_a_base_that_does_not_exist_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what a base may be."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(TrainingError, match="folder"):
        base_model(name, tmp_path)


def test_a_gguf_file_is_converted_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call takes the copy; a conversion that fails leaves nothing that looks like one."""
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"weights")
    calls: list[Path] = []

    def convert(source: Path, folder: Path) -> None:
        calls.append(source)
        (folder / "config.json").write_text("{}")
        if len(calls) == 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(base_module, "_convert", convert)
    cache = tmp_path / "cache"
    with pytest.raises(TrainingError, match="No space left"):
        base_model(str(file), cache)
    assert list(cache.iterdir()) == []
    folder = base_model(str(file), cache)
    assert base_model(str(file), cache) == folder
    assert len(calls) == 2
    assert describe(folder).name == "tiny"
