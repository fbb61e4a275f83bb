"""Training sees the ids that the server sees."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import gguf
import pytest

from pipeline.errors import TrainingError
from pipeline.llm.child_process import BoundedLog, ChildConfig, ChildProcess
from pipeline.llm.embedded import find_model
from pipeline.prompts import draft_messages
from pipeline.training.gguf_tokenizer import tokenizer_of

TEXTS = (
    "Rebuffering above 1.25 % in 2026: look at 17 CDNs, not at 9999999.",
    "| p95 | 3,204 ms |\n|---|---|\n\n\n* `rebuffer_ratio >= 0.01`   \n",
    "for i in range(10):\n\tprint(f'{i:>3}')\r\n",
    "naïve café — “Größe”, 日本語 12３, Привет ½ Ⅻ ٣٤٥, e\u0301, \u00a0\u200b\ufeff",
    "🙂 👨‍👩‍👧 don't WE'LL I'm   ",
    "<|im_start|>user\nhi 42<|im_end|>\n<|endoftext|>a<repo_name>b",
    "   leading, and trailing   ",
    "",
)


async def test_ids_and_prompts_equal_those_of_llama_cpp(tmp_path: Path) -> None:
    """Numbers, code, unicode and special tokens get the same ids, and messages become the same prompt (real model, 5 s)."""
    model = find_model()
    tokenizer = tokenizer_of(model)
    config = ChildConfig(str(model), slots=1, context_tokens=256, threads=1)
    child = await ChildProcess.start(config, BoundedLog(tmp_path / "log"), timeout=60)
    assert child.endpoint
    headers = {"Authorization": f"Bearer {child.endpoint.api_key}"}
    async with aiohttp.ClientSession(child.endpoint.url, headers=headers) as server:
        for text in TEXTS:
            body: dict[str, object] = {"content": text, "add_special": True, "parse_special": True}
            async with server.post("/tokenize", json=body) as response:
                assert tokenizer(text)["input_ids"] == (await response.json())["tokens"], text
            assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
        messages = [{"role": m.role, "content": m.content} for m in draft_messages("What is p95?")]
        async with server.post("/apply-template", json={"messages": messages}) as response:
            prompt = (await response.json())["prompt"]
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == prompt
    await child.end()


@pytest.mark.parametrize(
    ("model", "splitting", "template", "says"),
    [
        ("gpt2", "smollm", "", "chat template"),
        ("gpt2", "tekken", "x", "'tekken'"),
        ("llama", "default", "x", "byte-level"),
    ],
)
def test_an_unknown_vocabulary_is_refused(tmp_path: Path, model: str, splitting: str, template: str, says: str) -> None:
    """A file whose ids cannot be reproduced is not trained on; the message says what to give instead."""
    file = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(64)
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(splitting)
    writer.add_token_list(["<s>", "a", "b", "ab"])
    writer.add_token_types([3, 1, 1, 1])
    writer.add_token_merges(["a b"])
    if template:
        writer.add_chat_template(template)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(TrainingError, match=says):
        tokenizer_of(file)


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    """Anything else than GGUF is named."""
    file = tmp_path / "model.gguf"
    file.write_bytes(b"not a model, but long enough to be looked at")
    with pytest.raises(TrainingError, match=r"model\.gguf cannot be read"):
        tokenizer_of(file)
