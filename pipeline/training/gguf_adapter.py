"""PEFT adapter -> GGUF adapter for llama.cpp.

llama.cpp keeps the rows of q and k in another order than Hugging Face, so that its rotary embedding turns neighbouring
numbers: within each head (2, half) becomes (half, 2). What adds to those rows has to follow: `lora_b` of q and k.
Source: `LlamaModel.permute` in llama.cpp's `convert_hf_to_gguf.py`; names and keys: its `convert_lora_to_gguf.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import TrainingError
from pipeline.training.adapter import Adapter, Floats, read_adapter
from pipeline.training.rows import file_hash
from pipeline.training.whole import whole

NAMES: Mapping[str, str] = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}
"""Hugging Face's projection -> llama.cpp's."""
FORMAT = 1
"""Raised when the same adapter is to become another file: files of an older form are then written anew."""


@dataclass(frozen=True, slots=True)
class ServedBase:
    """What an adapter has to fit: the model that llama.cpp serves."""

    file: Path
    architecture: str
    heads: int
    kv_heads: int
    shapes: Mapping[tuple[int, str], tuple[int, int]]
    """Inputs and outputs of each projection, by layer and projection."""


def served_adapter(folder: Path, base: Path, cache: Path, *, name: str) -> Path:
    """The GGUF form of the PEFT folder `folder` for the GGUF file `base`; a `.gguf` file is given back as it is.

    It is made where it is not there yet: `cache/NAME-HASH.gguf`. Raises `TrainingError`.
    """
    if folder.suffix == ".gguf":
        if not folder.is_file():
            raise TrainingError(f"The adapter {name}: there is no {folder}. Correct PROMPTAI_ADAPTERS.")
        return folder
    adapter, base_hash = read_adapter(folder), file_hash(base)
    check_base_hash(adapter, base_hash, folder)
    made = cache / f"{name}-{adapter.hash[:16]}-{base_hash[:8]}-{FORMAT}.gguf"
    if not made.is_file():
        write_gguf(adapter, read_base(base), made)
    return made


def check_base_hash(adapter: Adapter, base_hash: str, folder: Path) -> None:
    """Refuse an adapter whose manifest names other weights. Raises `TrainingError`; one without a manifest passes."""
    base = adapter.manifest.get("base")
    trained_on = base.get("sha256") if isinstance(base, dict) else None
    if isinstance(base, dict) and trained_on and trained_on != base_hash:
        raise TrainingError(
            f"{folder} was trained on {base.get('name', 'another base')} ({str(trained_on)[:12]}…), and the server's base is "
            f"another one ({base_hash[:12]}…). Serve that base, or train the adapter on this one."
        )


def read_base(file: Path) -> ServedBase:
    """Heads and shapes from a GGUF file's head. Raises `TrainingError`."""
    import gguf  # noqa: PLC0415 - only the embedded server needs it

    try:
        reader = gguf.GGUFReader(file)
    except (OSError, ValueError, IndexError) as exc:
        raise TrainingError(f"The base {file} cannot be read ({exc}).") from exc
    found = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("tokenizer.")}
    architecture = str(found.get("general.architecture"))
    if architecture != "llama":
        raise TrainingError(f"{file} is a {architecture} model; adapters are converted for llama models only.")
    heads = int(found[f"{architecture}.attention.head_count"])
    projections = {theirs: ours for ours, theirs in NAMES.items()}
    shapes = {}
    for tensor in reader.tensors:
        match tensor.name.split("."):
            case ["blk", layer, name, "weight"] if name in projections:
                inputs, outputs = (int(size) for size in tensor.shape)
                shapes[int(layer), projections[name]] = inputs, outputs
    return ServedBase(
        file, architecture, heads, int(found.get(f"{architecture}.attention.head_count_kv", heads)), shapes
    )


def write_gguf(adapter: Adapter, base: ServedBase, file: Path) -> None:
    """Write `file` whole or not at all, in float32: nothing is lost. Raises `TrainingError` where adapter and base differ."""
    import gguf  # noqa: PLC0415 - only the embedded server needs it

    tensors = gguf_tensors(adapter, base)
    with whole(file) as unfinished:
        writer = gguf.GGUFWriter(unfinished, base.architecture)
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", adapter.alpha)
        for name, values in tensors.items():
            writer.add_tensor(name, values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def gguf_tensors(adapter: Adapter, base: ServedBase) -> dict[str, Floats]:
    """llama.cpp's tensors by name, in a fixed order. Raises `TrainingError` where adapter and base differ."""
    tensors = {}
    for (layer, projection), pair in adapter.pairs.items():
        expected, found = base.shapes.get((layer, projection)), (pair.a.shape[1], pair.b.shape[0])
        if found != expected:
            raise TrainingError(
                f"The adapter is for another base: its layer {layer} {projection} is {found[0]} x {found[1]}, and "
                f"{base.file.name} has {f'{expected[0]} x {expected[1]}' if expected else 'no such layer'}. "
                "Serve the base that it was trained on, or train it on this one."
            )
        heads = {"q_proj": base.heads, "k_proj": base.kv_heads}.get(projection)
        name = f"blk.{layer}.{NAMES[projection]}.weight"
        tensors[f"{name}.lora_a"] = pair.a
        tensors[f"{name}.lora_b"] = permuted(pair.b, heads) if heads else pair.b
    return tensors


def permuted(rows: Floats, heads: int) -> Floats:
    """The rows of a q or k projection in llama.cpp's order.

    >>> permuted(np.arange(8, dtype=np.float32).reshape(8, 1), heads=2).ravel().tolist()
    [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]
    """
    count, width = rows.shape
    by_head = rows.reshape(heads, 2, count // heads // 2, width)
    return np.ascontiguousarray(by_head.swapaxes(1, 2)).reshape(count, width)
