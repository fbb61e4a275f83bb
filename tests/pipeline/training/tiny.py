"""A base small enough to train in a test: a Llama of two layers with a byte-level vocabulary and a chat template."""

from __future__ import annotations

from pathlib import Path

from pipeline.llm import Message
from pipeline.training.recipe import Recipe
from pipeline.training.rows import Provenance, Row, Skill, write_rows

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny_base(folder: Path, *, seed: int = 0) -> Path:
    """A Hugging Face folder: 2 layers, width 32, 260 tokens."""
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = Tokenizer(models.BPE({text: at for at, text in enumerate(alphabet)}, []))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens([AddedToken(text, normalized=False) for text in ("<|im_start|>", "<|im_end|>")])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>", chat_template=TEMPLATE)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def a_row(skill: Skill, number: int) -> Row:
    question, text = f"What is {number}?", f"{number} > The number {number}"
    if skill is Skill.ANSWER:
        question, text = f"> Here is {text}\n\n{question}", text + " [1]"
    provenance = Provenance(f"docs:{number}.md", (), "v1", "rule")
    return Row((Message("user", question),), (Message("assistant", text),), skill, "definition", provenance)


def a_data_folder(folder: Path, *, rows: int = 12, held_out: int = 4) -> Path:
    """Rows of both skills in turn, as `promptai synthesize` writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [a_row((Skill.DRAFT, Skill.ANSWER)[number % 2], number) for number in range(rows + held_out)]
    write_rows(folder / "train.jsonl", made[:rows])
    write_rows(folder / "held-out.jsonl", made[rows:])
    (folder / "manifest.json").write_text('{"corpus": {"hash": "c0ffee"}}')
    return folder


def a_recipe(base: Path, **changes: object) -> Recipe:
    """A few steps, with a checkpoint after every second."""
    told = {"name": "tiny", "base": str(base), "rank": 4, "alpha": 8, "learning_rate": 0.01, "epochs": 2}
    told |= {"max_tokens": 256, "batch_tokens": 400, "save_steps": 2}
    return Recipe.model_validate(told | changes)
