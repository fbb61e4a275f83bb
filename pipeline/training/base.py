"""The weights that training starts from, as a Hugging Face folder: a folder, a GGUF file converted once, or a name on the Hub.

The embedded model exists as a quantised GGUF only. It is dequantised once into a cache; its tokenizer is rebuilt from the
file's own vocabulary (`gguf_tokenizer.py`) and its chat template is kept, so that training sees the very ids that the server
sees.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import ModelUnavailable, TrainingError
from pipeline.llm.embedded import BASE_NAME, find_model

IDENTITY = "promptai-base.json"
"""In a converted folder: the name and hash of the GGUF file that it came from."""
FORMAT = 1
"""Raised when a conversion's result changes: older copies in the cache are then made anew."""
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class Base:
    """What an adapter was trained on and has to be served with."""

    name: str
    """The folder's, the file's or the Hub's name; `smollm2-135m-instruct` for the embedded model."""
    sha256: str
    """Hash (hex) of the weights: of the GGUF file where there was one; of the one `.safetensors` file; of the index that
    names the shards where there are several (reading 140 GB would take longer than starting to train)."""


def base_model(name_or_path: str, cache: Path) -> Path:
    """The Hugging Face folder of a base model.

    `name_or_path`: `smollm2-135m-instruct` (the embedded model), a GGUF file, a folder, or a Hub name such as
    `meta-llama/Llama-3.3-70B-Instruct`, which is downloaded where it is not in the Hub's cache. `cache`: where converted
    GGUF files are kept (269 MB for 135M parameters). Raises `TrainingError` where there is no such model.
    """
    if name_or_path == BASE_NAME:
        try:
            return _converted(find_model(), cache, name=BASE_NAME)
        except ModelUnavailable as exc:
            raise TrainingError(str(exc)) from exc
    path = Path(name_or_path).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        return _converted(path, cache, name=path.stem)
    if path.is_dir():
        return _checked(path)
    if _HUB_NAME.fullmatch(name_or_path):
        return _checked(_download(name_or_path))
    raise TrainingError(
        f"There is no base model {name_or_path!r}: give a folder with config.json and *.safetensors, a .gguf file, "
        f"a name on the Hugging Face Hub, or {BASE_NAME!r}."
    )


def describe(folder: Path, name: str = "") -> Base:
    """What the folder holds; `name`: how it was asked for, where the folder does not say it."""
    identity = folder / IDENTITY
    if identity.is_file():
        return Base(**json.loads(identity.read_text()))
    index = folder / "model.safetensors.index.json"
    weights = [index] if index.is_file() else sorted(folder.glob("*.safetensors"))
    return Base(name or folder.name, _hash(*weights))


def _checked(folder: Path) -> Path:
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise TrainingError(f"{folder} is no model: it needs config.json and *.safetensors.")
    if not list(folder.glob("tokenizer*")):
        raise TrainingError(
            f"{folder} has no tokenizer: copy tokenizer.json and tokenizer_config.json of the model there."
        )
    return folder


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - half a second, where it is needed

    wanted = ["*.safetensors", "*.json", "*.jinja", "tokenizer*"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted))
    except Exception as exc:  # the Hub's errors have many roots
        raise TrainingError(
            f"The base model {name} is neither a folder nor can it be fetched from the Hugging Face Hub: {exc} "
            "Check the name, the network and, for a gated model, HF_TOKEN; or give the folder that holds it."
        ) from exc


def _converted(file: Path, cache: Path, *, name: str) -> Path:
    """The folder made of a GGUF file: whole or not at all, whoever else converts it at the same time."""
    digest = _hash(file)
    folder = cache / f"{name}-{digest[:12]}-{FORMAT}"
    if (folder / IDENTITY).is_file():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache))
    try:
        _convert(file, unfinished)
        (unfinished / IDENTITY).write_text(json.dumps(asdict(Base(name, digest))) + "\n")
        unfinished.replace(folder)
    except OSError as exc:
        if not (folder / IDENTITY).is_file():  # unless another process was quicker
            raise TrainingError(f"{file.name} cannot be converted into {cache}: {exc.strerror or exc}.") from exc
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _convert(file: Path, folder: Path) -> None:
    """About 24 s for 135M parameters, nearly all of it dequantising in `transformers`."""
    import torch  # noqa: PLC0415 - seconds of imports, where they are needed
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    from pipeline.training.gguf_tokenizer import tokenizer_of  # noqa: PLC0415

    tokenizer = tokenizer_of(file)
    try:
        model = AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name, dtype=torch.bfloat16)
    except (ValueError, KeyError, RuntimeError) as exc:
        raise TrainingError(f"{file.name} cannot be dequantised: {exc} Give the model's Hugging Face folder.") from exc
    model.config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    folder.chmod(0o755)  # temporary folders are private, a model is not


def _hash(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
