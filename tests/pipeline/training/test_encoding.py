"""Rows become ids with loss on completions only, and what does not fit is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import TrainingError
from pipeline.training.encoding import IGNORED, encode
from pipeline.training.lora import load_tokenizer
from pipeline.training.rows import Skill
from tests.pipeline.training.tiny import a_row, tiny_base


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tokenizer(tiny_base(tmp_path_factory.mktemp("base")))


def test_the_prompt_is_what_a_server_makes_and_loss_is_on_the_completion(tokenizer: Any) -> None:
    """Labels are the completion to its end-of-turn token, and nothing after it."""
    example = encode([a_row(Skill.DRAFT, 7)], tokenizer, 512).examples[0]
    assert (
        tokenizer.decode(example.ids[: example.prompt])
        == "<|im_start|>user\nWhat is 7?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokenizer.decode(example.ids[example.prompt :]) == "7 > The number 7<|im_end|>"
    assert example.labels == [IGNORED] * example.prompt + list(example.ids[example.prompt :])


def test_long_rows_are_cut_or_left_out_and_counted_by_skill(tokenizer: Any) -> None:
    """A completion is cut at its end, without an end-of-turn token; a row whose prompt leaves no room is left out whole."""
    rows = [a_row(Skill.DRAFT, 7), a_row(Skill.DRAFT, 10**40), a_row(Skill.ANSWER, 10**60)]
    whole = encode(rows, tokenizer, 512)
    window = len(whole.examples[1].ids) - 1
    encoded = encode(rows, tokenizer, window)
    assert [len(example.ids) for example in encoded.examples] == [len(whole.examples[0].ids), window]
    assert encoded.examples[1].ids[-1] != tokenizer.eos_token_id
    draft, answer = encoded.fits["draft"], encoded.fits["answer"]
    assert (draft.rows, draft.cut, draft.left_out) == (2, 1, 0)
    assert (answer.rows, answer.cut, answer.left_out, answer.longest) == (1, 0, 1, len(whole.examples[2].ids))


def test_a_window_too_small_for_all_is_refused(tokenizer: Any) -> None:
    """The message says how long the longest row is."""
    with pytest.raises(TrainingError, match=r"None of 1 rows .* Raise max_tokens"):
        encode([a_row(Skill.DRAFT, 7)], tokenizer, 16)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for m in messages %}{{ m['content'] }}{% endfor %}", "never stop"),
        ("{% if add_generation_prompt %}>{% endif %}{{ messages[-1]['content'] }}<|im_end|>", "differently"),
    ],
)
def test_a_template_that_cannot_be_trained_with_is_refused(tmp_path: Path, template: str, says: str) -> None:
    """One that does not end a turn, and one that renders the prompt in two ways."""
    tokenizer = load_tokenizer(tiny_base(tmp_path))
    tokenizer.chat_template = template
    with pytest.raises(TrainingError, match=says):
        encode([a_row(Skill.DRAFT, 7)], tokenizer, 512)


def test_a_base_without_a_template_is_refused(tmp_path: Path) -> None:
    """A base model that was not tuned for chats has none."""
    folder = tiny_base(tmp_path)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(TrainingError, match="no chat template"):
        load_tokenizer(folder)
