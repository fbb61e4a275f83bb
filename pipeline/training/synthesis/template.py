"""The served model's chat template, pinned beside the data: rows that are rendered otherwise teach something else."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import TrainingError


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A Jinja template that turns messages into a prompt."""

    text: str
    """Empty where the served model is not known."""
    source: str
    """What it was read from, for people."""

    @property
    def sha256(self) -> str:
        """Of the text (hex); empty for an empty one."""
        return hashlib.sha256(self.text.encode()).hexdigest() if self.text else ""


NONE = ChatTemplate("", "unknown: the model server does not tell it; give --base")


def template_of_folder(folder: Path) -> ChatTemplate:
    """Of a Hugging Face folder: `chat_template.jinja`, or in `tokenizer_config.json`. Raises `TrainingError`."""
    own = folder / "chat_template.jinja"
    try:
        if own.is_file():
            return ChatTemplate(own.read_text(encoding="utf-8"), f"{folder.name}/{own.name}")
        told: Any = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template")
    except (OSError, ValueError, AttributeError) as exc:
        raise TrainingError(f"{folder} holds no tokenizer that can be read: --base names a model's folder.") from exc
    if isinstance(told, list):  # several by name
        told = next((each.get("template") for each in told if each.get("name") == "default"), None)
    if not isinstance(told, str) or not told:
        raise TrainingError(f"The tokenizer in {folder} has no chat template: --base names a model for chats.")
    return ChatTemplate(told, f"{folder.name}/tokenizer_config.json")


def template_of_gguf(file: Path) -> ChatTemplate:
    """Of a GGUF file's metadata. Raises `TrainingError`."""
    import gguf  # noqa: PLC0415  # only where the embedded model is served

    try:
        field = gguf.GGUFReader(file).fields.get("tokenizer.chat_template")
        text = str(field.contents()) if field is not None else ""
    except (OSError, ValueError) as exc:
        raise TrainingError(f"{file} is no GGUF file that can be read ({exc}).") from exc
    if not text:
        raise TrainingError(f"{file} has no chat template; give --base.")
    return ChatTemplate(text, file.name)
