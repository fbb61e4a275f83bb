"""The chat template is read from wherever the served model keeps it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import gguf
import pytest

from pipeline.errors import TrainingError
from pipeline.training.synthesis.template import template_of_folder, template_of_gguf


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("chat_template.jinja", "TEMPLATE"),
        ("tokenizer_config.json", json.dumps({"chat_template": "TEMPLATE"})),
        ("tokenizer_config.json", json.dumps({"chat_template": [{"name": "default", "template": "TEMPLATE"}]})),
    ],
)
def test_templates_of_hugging_face_folders(tmp_path: Path, name: str, content: str) -> None:
    """As a file of its own, in the tokenizer's settings, or one of several there."""
    (tmp_path / name).write_text(content)
    found = template_of_folder(tmp_path)
    assert found.text == "TEMPLATE"
    assert found.sha256 == hashlib.sha256(b"TEMPLATE").hexdigest()


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_folder_without_one_is_refused(tmp_path: Path, content: str | None) -> None:
    """--base then names the wrong folder."""
    if content is not None:
        (tmp_path / "tokenizer_config.json").write_text(content)
    with pytest.raises(TrainingError, match="--base names a model"):
        template_of_folder(tmp_path)


def test_the_template_of_a_gguf_file_is_in_its_metadata(tmp_path: Path) -> None:
    """Where llama.cpp reads it."""
    file = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_chat_template("TEMPLATE")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert template_of_gguf(file).text == "TEMPLATE"
    (tmp_path / "broken.gguf").write_bytes(b"no model")
    with pytest.raises(TrainingError, match=r"broken\.gguf"):
        template_of_gguf(tmp_path / "broken.gguf")
