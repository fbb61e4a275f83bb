"""Rows -> token ids and labels, with the served model's chat template; what does not fit is counted, never cut in silence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import TrainingError
from pipeline.llm import Message
from pipeline.training.rows import Row

IGNORED = -100
"""A label without loss (PyTorch's `ignore_index`)."""
LEAST_COMPLETION = 16
"""Tokens of a completion below which a cut one teaches nothing: the row is left out."""


@dataclass(frozen=True, slots=True)
class Example:
    """One row, ready to be batched."""

    ids: tuple[int, ...]
    """Prompt and completion, to the end-of-turn token (absent where the completion was cut)."""
    prompt: int
    """How many of them are the prompt: no loss there."""

    @property
    def labels(self) -> list[int]:
        return [IGNORED] * self.prompt + list(self.ids[self.prompt :])


@dataclass(slots=True)
class Fit:
    """How the rows of one skill fitted into the window."""

    rows: int = 0
    """Rows in the data."""
    cut: int = 0
    """Rows whose completion was cut at the window's end."""
    left_out: int = 0
    """Rows whose prompt leaves no room for a completion."""
    longest: int = 0
    """Tokens of the longest row, before cutting."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """All rows."""

    examples: tuple[Example, ...]
    fits: dict[str, Fit] = field(default_factory=dict)
    """By skill."""
    rows: tuple[int, ...] = ()
    """Of each example, which of the rows it was made from."""

    @property
    def tokens(self) -> int:
        """Tokens of one pass over the data, without padding."""
        return sum(len(example.ids) for example in self.examples)

    @property
    def trained_tokens(self) -> int:
        """Those with loss."""
        return sum(len(example.ids) - example.prompt for example in self.examples)


def encode(rows: Sequence[Row], tokenizer: Any, max_tokens: int) -> Encoded:
    """Raises `TrainingError` where no row fits, or where the chat template cannot be trained with."""
    prompts = [_render(tokenizer, row.prompt, open_turn=True) for row in rows]
    texts = [_render(tokenizer, (*row.prompt, *row.completion)) for row in rows]
    examples: list[Example] = []
    kept: list[int] = []
    fits: dict[str, Fit] = {}
    for at, (row, prompt, ids) in enumerate(zip(rows, _ids(tokenizer, prompts), _ids(tokenizer, texts), strict=True)):
        if ids[: len(prompt)] != prompt:
            raise TrainingError(
                "The base's chat template renders a prompt differently before an answer: train on a base whose template does not."
            )
        fit = fits.setdefault(row.skill.value, Fit())
        whole = _to_end_of_turn(ids, len(prompt), tokenizer.eos_token_id)
        fit.rows += 1
        fit.longest = max(fit.longest, len(whole))
        if len(prompt) + min(LEAST_COMPLETION, len(whole) - len(prompt)) > max_tokens:
            fit.left_out += 1
            continue
        fit.cut += len(whole) > max_tokens
        examples.append(Example(tuple(whole[:max_tokens]), len(prompt)))
        kept.append(at)
    if not examples:
        longest = max(fit.longest for fit in fits.values())
        raise TrainingError(
            f"None of {len(rows)} rows fits into max_tokens: {max_tokens} (the longest has {longest} tokens). Raise max_tokens."
        )
    return Encoded(tuple(examples), fits, tuple(kept))


def _render(tokenizer: Any, messages: Iterable[Message], *, open_turn: bool = False) -> str:
    told = [{"role": message.role, "content": message.content} for message in messages]
    return str(tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=open_turn))


def _ids(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    encoded: list[list[int]] = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return encoded


def _to_end_of_turn(ids: list[int], prompt: int, end: int) -> list[int]:
    """Without what the template writes after the turn: a served model stops there."""
    for at in range(len(ids) - 1, prompt - 1, -1):
        if ids[at] == end:
            return ids[: at + 1]
    raise TrainingError(
        "The base's chat template does not end an answer with the tokenizer's eos_token: it would never stop."
    )
