"""The tokenizer of a GGUF file, giving the ids that llama.cpp gives.

`transformers` converts GGUF tokenizers too, but forgets what `tokenizer.ggml.pre` says: numbers stay whole where llama.cpp
splits them into digits, and a beginning-of-text token is put in front that nobody asked for. A model trained on such ids
would never see the prompts that it is served.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import TrainingError

CONTROL = 3
"""`tokenizer.ggml.token_type` of a token that is never made from text (`LLAMA_TOKEN_TYPE_CONTROL`)."""
USER_DEFINED = 4


def tokenizer_of(file: Path) -> Any:
    """A `PreTrainedTokenizerFast` with the file's vocabulary, merges, special tokens and chat template.

    Raises `TrainingError` for a file that is no GGUF, has no chat template, or splits text in a way not known here.
    """
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415 - seconds of imports, where they are needed

    fields = _fields(file)
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    template = fields.get("tokenizer.chat_template")
    if not template:
        raise TrainingError(f"{file.name} has no chat template: take an instruction-tuned model.")

    def token(key: str) -> str | None:
        at = fields.get(f"tokenizer.ggml.{key}_token_id")
        return None if at is None else tokens[at]

    return PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(file, fields),
        bos_token=token("bos"),
        eos_token=token("eos"),
        unk_token=token("unknown"),
        pad_token=token("padding") or token("eos"),
        model_max_length=fields[f"{fields['general.architecture']}.context_length"],
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )


def _tokenizer(file: Path, fields: dict[str, Any]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, processors  # noqa: PLC0415

    if fields.get("tokenizer.ggml.model") != "gpt2":
        raise TrainingError(f"{file.name} has no byte-level BPE vocabulary: give the model's Hugging Face folder.")
    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    bpe = Tokenizer(models.BPE({text: at for at, text in enumerate(tokens)}, merges, fuse_unk=False))
    bpe.pre_tokenizer = _splitting(file, str(fields.get("tokenizer.ggml.pre", "default")))
    bpe.decoder = decoders.ByteLevel()
    bpe.post_processor = processors.ByteLevel(trim_offsets=False)
    types: list[int] = fields["tokenizer.ggml.token_type"]
    added = [(text, kind) for text, kind in zip(tokens, types, strict=True) if kind in (CONTROL, USER_DEFINED)]
    bpe.add_special_tokens([AddedToken(text, normalized=False) for text, kind in added if kind == CONTROL])
    bpe.add_tokens([AddedToken(text, normalized=False) for text, kind in added if kind == USER_DEFINED])
    return bpe


def _splitting(file: Path, name: str) -> Any:
    """What llama.cpp does before merging (`llama-vocab.cpp`, `LLAMA_VOCAB_PRE_TYPE_…`)."""
    from tokenizers import pre_tokenizers  # noqa: PLC0415

    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)  # GPT-2's regular expression
    if name in ("default", "gpt-2"):
        return words
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words])
    raise TrainingError(
        f"{file.name} splits text the way {name!r}, which is not known here: give the model's Hugging Face folder."
    )


def _fields(file: Path) -> dict[str, Any]:
    from gguf import GGUFReader  # noqa: PLC0415 - belongs to the extra `embedded`

    try:
        reader = GGUFReader(str(file))
    except (ValueError, OSError) as exc:
        raise TrainingError(f"{file.name} cannot be read as GGUF: {exc}") from exc
    return {name: field.contents() for name, field in reader.fields.items()}
