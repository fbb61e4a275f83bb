"""A Llama of two layers with random weights, as a GGUF file for llama.cpp and for Hugging Face; and adapters for it.

All but `hugging_face` and `with_peft` does without torch, which takes seconds to import.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import safetensors.numpy

HEADS, KV_HEADS, HEAD_WIDTH, INNER = 4, 2, 16, 96
WIDTH = HEADS * HEAD_WIDTH
SPECIAL = ("<unk>", "<s>", "</s>")
VOCABULARY = (*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *"▁abcdefghijklmnopqrstuvwxyz0123")
PROJECTIONS = {
    "self_attn.q_proj": (WIDTH, WIDTH), "self_attn.k_proj": (WIDTH, KV_HEADS * HEAD_WIDTH),
    "self_attn.v_proj": (WIDTH, KV_HEADS * HEAD_WIDTH), "self_attn.o_proj": (WIDTH, WIDTH),
    "mlp.gate_proj": (WIDTH, INNER), "mlp.up_proj": (WIDTH, INNER), "mlp.down_proj": (INNER, WIDTH),
}  # fmt: skip
"""Inputs and outputs."""
_LLAMA_CPP = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "model.layers.": "blk.",
}  # fmt: skip

Array = np.ndarray[Any, np.dtype[Any]]


def tiny_llama(*, layers: int = 2, seed: int = 0) -> dict[str, Array]:
    """Weights by Hugging Face's names, float32 that float16 holds exactly, large enough to have opinions."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (len(VOCABULARY), WIDTH)}
    for layer in range(layers):
        for name, (inputs, outputs) in PROJECTIONS.items():
            shapes[f"model.layers.{layer}.{name}.weight"] = outputs, inputs
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"model.layers.{layer}.{name}.weight"] = (WIDTH,)
    shapes |= {"model.norm.weight": (WIDTH,), "lm_head.weight": (len(VOCABULARY), WIDTH)}
    random = np.random.default_rng(seed)
    return {
        name: np.ones(shape, np.float32)
        if len(shape) == 1
        else random.normal(scale=0.15, size=shape).astype(np.float16).astype(np.float32)
        for name, shape in shapes.items()
    }


def write_adapter(
    folder: Path, *, layers: int = 2, rank: int = 4, seed: int = 1, config: Mapping[str, Any] = {}
) -> Path:
    """An adapter of random numbers on all projections, in PEFT's two files. `config` changes options."""
    random = np.random.default_rng(seed)
    tensors = {}
    for layer in range(layers):
        for name, (inputs, outputs) in PROJECTIONS.items():
            at = f"base_model.model.model.layers.{layer}.{name}"
            tensors[f"{at}.lora_A.weight"] = random.normal(scale=0.25, size=(rank, inputs)).astype(np.float32)
            tensors[f"{at}.lora_B.weight"] = random.normal(scale=0.25, size=(outputs, rank)).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    safetensors.numpy.save_file(tensors, folder / "adapter_model.safetensors")
    targets = [name.partition(".")[2] for name in PROJECTIONS]
    options = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 2 * rank, "target_modules": targets,
        "base_model_name_or_path": "tiny",
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(options | dict(config)))
    return folder


def change_tensors(folder: Path, tensors: Mapping[str, Array | None]) -> None:
    """Set tensors of an adapter; None removes one."""
    file = folder / "adapter_model.safetensors"
    held = safetensors.numpy.load_file(file) | dict(tensors)
    safetensors.numpy.save_file({name: values for name, values in held.items() if values is not None}, file)


def write_gguf(weights: Mapping[str, Array], file: Path) -> Path:
    """The base in float16 (norms in float32), q and k permuted, with a tokenizer of bytes and letters."""
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(sum(".q_proj." in name for name in weights))
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(HEAD_WIDTH)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(VOCABULARY))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(VOCABULARY))
    writer.add_token_scores([0.0] * len(VOCABULARY))
    kinds = {"<unk>": gguf.TokenType.UNKNOWN, "<s>": gguf.TokenType.CONTROL, "</s>": gguf.TokenType.CONTROL}
    byte = gguf.TokenType.BYTE
    writer.add_token_types([kinds.get(t, byte if t.startswith("<0x") else gguf.TokenType.NORMAL) for t in VOCABULARY])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, values in weights.items():
        writer.add_tensor(_llama_cpp_name(name), _stored(name, values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def hugging_face(weights: Mapping[str, Array]) -> Any:
    """The same model as `LlamaForCausalLM`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(VOCABULARY), hidden_size=WIDTH, intermediate_size=INNER, num_attention_heads=HEADS,
        num_hidden_layers=sum(".q_proj." in name for name in weights), num_key_value_heads=KV_HEADS,
        max_position_embeddings=512, rope_theta=10_000.0, rms_norm_eps=1e-5, tie_word_embeddings=False,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    model.load_state_dict({name: torch.from_numpy(values) for name, values in weights.items()})
    return model


def with_peft(model: Any, folder: Path) -> Any:
    """The model with the adapter, as PEFT reads it."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, str(folder)).eval()


def _llama_cpp_name(name: str) -> str:
    for theirs, ours in _LLAMA_CPP.items():
        name = name.replace(theirs, ours)
    return name


def _stored(name: str, values: Array) -> Array:
    if values.ndim == 1:
        return values
    heads = HEADS if ".q_proj." in name else KV_HEADS if ".k_proj." in name else None
    if heads:  # (2, half) within each head becomes (half, 2)
        values = values.reshape(heads, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
    return np.ascontiguousarray(values).astype(np.float16)
