"""Finding and loading an embedding model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import IndexUnavailable
from pipeline.retrieval import SentenceTransformerEmbedder


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def fake_model(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 77}))
    (folder / "model.safetensors").write_bytes(weights)
    return folder


async def test_a_missing_model_is_an_error_that_names_the_setting() -> None:
    embedder = SentenceTransformerEmbedder("nobody/has-this-model")
    with pytest.raises(IndexUnavailable, match=r"EMBEDDING_MODEL.*nobody/has-this-model"):
        await embedder.warm()
    with pytest.raises(IndexUnavailable, match="EMBEDDING_MODEL"):
        await embedder.embed(["text"])
    await embedder.close()


async def test_a_damaged_model_is_an_error_that_names_setting_and_folder(tmp_path: Path) -> None:
    embedder = SentenceTransformerEmbedder(str(fake_model(tmp_path / "broken")))
    with pytest.raises(IndexUnavailable, match=r"EMBEDDING_MODEL.*broken"):
        await embedder.embed(["text"])
    await embedder.close()


def test_the_default_model_comes_from_its_package_without_loading_it() -> None:
    embedder = SentenceTransformerEmbedder()
    assert embedder.max_tokens == 256
    assert embedder.count_tokens("hello world") == 4
    assert embedder.fingerprint.startswith("all-minilm-l6-v2-")


def test_the_window_is_the_models_own(tmp_path: Path) -> None:
    assert SentenceTransformerEmbedder(str(fake_model(tmp_path / "model"))).max_tokens == 77


def test_other_weights_are_another_fingerprint_and_the_same_ones_the_same(tmp_path: Path) -> None:
    folders = [
        fake_model(tmp_path / "a" / "model"),
        fake_model(tmp_path / "b" / "model"),
        fake_model(tmp_path / "c" / "model", b"retrained"),
    ]
    first, same, other = (SentenceTransformerEmbedder(str(folder)).fingerprint for folder in folders)
    assert first == same != other


def test_large_weights_are_told_apart_behind_their_equal_headers(tmp_path: Path) -> None:
    head = b"header" * 200_000
    folders = [fake_model(tmp_path / n / "m", head + n.encode() * 3_000_000) for n in "ab"]
    first, other = (SentenceTransformerEmbedder(str(folder)).fingerprint for folder in folders)
    assert first != other
