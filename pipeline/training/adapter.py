"""An adapter's folder, read and checked: PEFT's two files, and what was written beside them when it was trained.

What is allowed is what TGI serves: LoRA on the seven projections of each layer, rank at most 64, no new tokens. Nothing
here needs torch, so the embedded server can convert an adapter where no training library is installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import TrainingError
from pipeline.training.rows import file_hash

CONFIG, WEIGHTS, MANIFEST = "adapter_config.json", "adapter_model.safetensors", "manifest.json"
MAX_RANK = 64
"""TGI's."""
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""What TGI puts an adapter on."""

Floats = NDArray[np.float32]

_TENSOR = re.compile(
    r"base_model\.model\.model\.layers\.(?P<layer>\d+)\.(?:self_attn|mlp)\.(?P<projection>\w+)\.lora_(?P<side>[AB])\.weight"
)
_NEW_TOKENS = re.compile(r"embed_tokens|lm_head|modules_to_save|trainable_tokens")
_TYPES: Mapping[str, str] = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}

_REFUSED: Mapping[str, str] = {
    "modules_to_save": "it trains whole layers (new tokens?), and servers load projections only",
    "trainable_token_indices": "it trains tokens, and servers load projections only",
    "use_dora": "DoRA's magnitudes are not loaded by TGI or llama.cpp",
    "use_rslora": "its scale is alpha / sqrt(rank), which llama.cpp does not know: set lora_alpha instead",
    "rank_pattern": "its ranks differ between layers",
    "alpha_pattern": "its scales differ between layers",
    "lora_bias": "it trains biases",
    "target_parameters": "it adapts parameters that are no projections",
    "layer_replication": "it repeats the base's layers",
    "alora_invocation_tokens": "it acts after certain tokens only",
    "use_qalora": "QALoRA's pooled inputs are not known to servers",
    "fan_in_fan_out": "its base stores weights the other way round",
}
"""Options of PEFT that change what an adapter means and that a server would ignore in silence."""
_MOVING_STARTS = ("pissa", "olora", "corda", "loftq", "lora_ga", "eva_moved")
"""Initialisations that alter the base's weights: the adapter then fits no server's base."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The two factors of one projection's change, alpha / rank * b @ a."""

    a: Floats
    """Shape (rank, inputs)."""
    b: Floats
    """Shape (outputs, rank)."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter that TGI and llama.cpp can serve."""

    rank: int
    alpha: float
    pairs: Mapping[tuple[int, str], Pair]
    """By layer, from 0, and projection."""
    hash: str
    """SHA-256 (hex) of configuration and weights."""
    manifest: Mapping[str, Any]
    """What `promptai finetune` wrote; empty for an adapter from elsewhere."""


def read_adapter(folder: Path, *, values: bool = True) -> Adapter:
    """Read all of it. Raises `TrainingError` for what is missing, broken, or could not be served.

    `values`: False reads shapes alone and leaves zeros for numbers, which take no memory: a 70B model's adapter has 3 GB.
    """
    files = folder / CONFIG, folder / WEIGHTS
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise TrainingError(
            f"{folder} is no adapter: {' and '.join(missing)} missing. Give the folder that `promptai finetune` wrote."
        )
    config = _json(files[0])
    rank, alpha = _check_config(folder, config)
    pairs = _pairs(folder, (_tensors if values else _shapes)(files[1]), rank)
    manifest = _json(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    return Adapter(rank, alpha, pairs, file_hash(*files), manifest)


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise TrainingError(f"{file} cannot be read ({exc}). Copy the adapter again, or train it again.") from exc
    if not isinstance(found, dict):
        raise TrainingError(f"{file} is not a JSON object. Copy the adapter again, or train it again.")
    return found


def _check_config(folder: Path, config: Mapping[str, Any]) -> tuple[int, float]:
    """Rank and alpha."""
    if config.get("peft_type") != "LORA":
        raise TrainingError(f"{folder} is a {config.get('peft_type')} adapter; only LoRA is served. Train it as LoRA.")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or not isinstance(alpha, int | float) or rank < 1:
        raise TrainingError(f"{folder / CONFIG} names no rank (r) and lora_alpha. Copy it again, or train it again.")
    if rank > MAX_RANK:
        raise TrainingError(f"{folder} has rank {rank}; servers take at most {MAX_RANK}. Train with a lower rank.")
    for option, reason in _REFUSED.items():
        if config.get(option):
            raise TrainingError(f"{folder} was trained with {option}, and {reason}. Train without it.")
    if config.get("bias", "none") != "none":
        raise TrainingError(
            f"{folder} was trained with bias={config['bias']!r}; servers load no biases. Train without."
        )
    start = config.get("init_lora_weights", True)
    if isinstance(start, str) and start.lower().startswith(_MOVING_STARTS):
        raise TrainingError(
            f"{folder} began with init_lora_weights={start!r}, which changes the base's weights, and a server's base is "
            "the original. Convert it with PEFT (path_initial_model_for_weight_conversion), or train with the default."
        )
    return rank, float(alpha)


def _tensors(file: Path) -> dict[str, Floats]:
    """All tensors, as float32."""
    import safetensors  # noqa: PLC0415 - only where an adapter is read

    try:
        found = safetensors.deserialize(file.read_bytes())
    except (OSError, safetensors.SafetensorError) as exc:
        raise _damaged(file, exc) from exc
    return {name: _decoded(file, name, tensor) for name, tensor in found}


def _shapes(file: Path) -> dict[str, Floats]:
    """Zeros of all tensors' shapes."""
    import safetensors  # noqa: PLC0415 - only where an adapter is read

    found = {}
    try:
        with safetensors.safe_open(file, framework="np") as opened:
            for name in opened.keys():  # noqa: SIM118 - no mapping
                part = opened.get_slice(name)
                _check_type(file, name, part.get_dtype())
                found[name] = np.broadcast_to(np.float32(0), part.get_shape())
    except (OSError, safetensors.SafetensorError) as exc:
        raise _damaged(file, exc) from exc
    return found


def _damaged(file: Path, exc: Exception) -> TrainingError:
    return TrainingError(f"{file} is damaged ({exc}). Copy the adapter again, or train it again.")


def _check_type(file: Path, name: str, kind: str) -> None:
    if kind not in _TYPES:
        raise TrainingError(f"{file} holds {name} as {kind}; an adapter's numbers are F32, F16 or BF16. Save it so.")


def _decoded(file: Path, name: str, tensor: Mapping[str, Any]) -> Floats:
    kind = tensor["dtype"]
    _check_type(file, name, kind)
    stored = np.frombuffer(bytes(tensor["data"]), dtype=_TYPES[kind]).reshape(tensor["shape"])
    if kind == "BF16":  # the upper half of a float32
        return (stored.astype(np.uint32) << 16).view(np.float32)
    return stored.astype(np.float32)


def _pairs(folder: Path, tensors: Mapping[str, Floats], rank: int) -> dict[tuple[int, str], Pair]:
    sides: dict[str, dict[tuple[int, str], Floats]] = {"A": {}, "B": {}}
    for name, values in tensors.items():
        if _NEW_TOKENS.search(name):
            raise TrainingError(
                f"{folder} changes the vocabulary or its embeddings ({name}); servers load projections only. "
                "Train without new tokens, without modules_to_save and with save_embedding_layers=False."
            )
        known = _TENSOR.fullmatch(name)
        if known is None or known["projection"] not in PROJECTIONS:
            raise TrainingError(
                f"{folder} adapts {name}; servers adapt {', '.join(PROJECTIONS)} only. Set target_modules to these."
            )
        if not np.isfinite(values).all():
            raise TrainingError(f"{folder} holds numbers that are not finite ({name}): the training diverged.")
        sides[known["side"]][int(known["layer"]), known["projection"]] = values
    a, b = sides["A"], sides["B"]
    odd = sorted(f"layer {layer} {projection}" for layer, projection in a.keys() ^ b.keys())
    if odd or not a:
        raise TrainingError(f"{folder} is incomplete: {odd[0] if odd else 'it holds no tensors'}. Copy it again.")
    for (layer, projection), values in a.items():
        other = b[layer, projection]
        if values.ndim != 2 or other.ndim != 2 or values.shape[0] != rank or other.shape[1] != rank:
            raise TrainingError(
                f"{folder}: layer {layer} {projection} has the shapes {values.shape} and {other.shape}, which do not "
                f"fit rank {rank} of its configuration. Copy it again, or train it again."
            )
    return {key: Pair(a[key], b[key]) for key in sorted(a, key=lambda at: (at[0], PROJECTIONS.index(at[1])))}
