"""The model that is trained: a frozen base and LoRA matrices on some of its projections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import TrainingError
from pipeline.training.recipe import Recipe


def load_tokenizer(folder: Path) -> Any:
    """The base's tokenizer, with a padding token. Raises `TrainingError` where it has no chat template."""
    from transformers import AutoTokenizer  # noqa: PLC0415 - seconds of imports, where they are needed

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    if not tokenizer.chat_template:
        raise TrainingError(
            f"{folder} has no chat template: take an instruction-tuned base, or add chat_template.jinja."
        )
    if tokenizer.pad_token is None:  # Llama has none; padding carries no loss, so any token does
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(folder: Path, recipe: Recipe) -> Any:
    """The frozen weights: bfloat16 (their rounding is that of the published weights), or 4 bits on a GPU."""
    import torch  # noqa: PLC0415
    from transformers import AutoModelForCausalLM  # noqa: PLC0415

    dtype = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    settings: dict[str, Any] = {"dtype": dtype, "use_cache": False}
    if recipe.quantisation:
        if not torch.cuda.is_available():
            raise TrainingError(f"quantisation: {recipe.quantisation} needs a GPU; leave it out here.")
        settings["quantization_config"] = quantisation()
    try:
        return AutoModelForCausalLM.from_pretrained(str(folder), **settings)
    except Exception as exc:  # a damaged file, a missing library, no memory: each has an error of its own
        raise TrainingError(f"The base in {folder} cannot be loaded: {exc}") from exc


def quantisation() -> Any:
    """NF4 with doubly quantised constants (QLoRA); stored as bfloat16, so that FSDP can shard it like any weight."""
    import torch  # noqa: PLC0415
    from transformers import BitsAndBytesConfig  # noqa: PLC0415

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_quant_storage=torch.bfloat16,
    )


def lora_config(recipe: Recipe) -> Any:
    """What `peft` is told: what TGI can serve, and no more (no biases, no new tokens, no other modules)."""
    from peft import LoraConfig  # noqa: PLC0415

    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=[module.value for module in recipe.modules],
        bias="none",
        task_type="CAUSAL_LM",
    )


def save_adapter(saved: Path, out: Path, base_name: str) -> None:
    """Put the adapter that `saved` holds (PEFT's two files) into `out`, in bfloat16, each file whole or not at all."""
    import torch  # noqa: PLC0415
    from peft import PeftConfig  # noqa: PLC0415
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    weights = {
        name: tensor.to(torch.bfloat16) for name, tensor in load_file(saved / "adapter_model.safetensors").items()
    }
    unfinished = saved / "adapter_model.bf16.safetensors"
    save_file(weights, unfinished, metadata={"format": "pt"})
    config = PeftConfig.from_pretrained(str(saved))
    config.base_model_name_or_path = base_name
    config.inference_mode = True
    config.save_pretrained(str(saved))
    out.mkdir(parents=True, exist_ok=True)
    (saved / "adapter_config.json").replace(out / "adapter_config.json")
    unfinished.replace(out / "adapter_model.safetensors")
    (out / "adapter_model.safetensors").chmod(0o644)  # safetensors writes 0600
