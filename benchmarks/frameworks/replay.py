"""What the model server says in the comparison of HyDE pipelines: a replayed draft, or an answer of a fixed shape.

Every system sends its own prompts. A prompt is recognised by a sentence that its system always puts there and by the
question in it; one that is not recognised is an error and never guessed at, so a system's new default cannot go unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipeline import prompts

ANSWER = (
    "Set the value in the configuration of the cluster and start its nodes again [1]. The dashboard then shows the new "
    "value under its own heading, and each worker takes it over with its next task [2]. If it does not, look for the "
    "setting's name in the log of the head node."
)
"""Of a common length: what is measured is when it comes, not what it says."""


class Kind(StrEnum):
    """What a prompt asks for."""

    DRAFT = "draft"
    """A text from memory: a draft, a hypothetical document."""
    ANSWER = "answer"
    """An answer from passages."""


MARKS = (
    (Kind.ANSWER, prompts.ANSWER),
    (Kind.ANSWER, "Context information is below."),  # LlamaIndex, DEFAULT_TEXT_QA_PROMPT
    (Kind.ANSWER, "Given the following information, answer the question."),  # Haystack, its first RAG tutorial
    (Kind.DRAFT, prompts.DRAFT),
    (Kind.DRAFT, prompts.TRAINED_DRAFT),
    (Kind.DRAFT, "Please write a passage to answer the question"),  # LlamaIndex, DEFAULT_HYDE_PROMPT
    (Kind.DRAFT, "Given a question, generate a paragraph of text that answers the question."),  # Haystack, on HyDE
)
"""Answers first: their prompts hold passages, and a passage may say anything."""


class Unrecognised(Exception):
    """A prompt of none of the systems, or without one of the questions."""


@dataclass(frozen=True)
class Reply:
    """What is said to a prompt."""

    question: str
    """The id of the question in it."""
    kind: Kind
    text: str


class Replay:
    """Knows the questions and, for each, the draft to be replayed."""

    def __init__(self, questions: Mapping[str, str], drafts: Mapping[str, str]) -> None:
        """Both by the question's id."""
        self._questions = {key: _plain(text) for key, text in questions.items()}
        self._drafts = {key: text.strip() for key, text in drafts.items()}

    def reply(self, prompt: str) -> Reply:
        """Raises `Unrecognised`."""
        kind = next((kind for kind, mark in MARKS if mark in prompt), None)
        if kind is None:
            raise Unrecognised(f"No known system asks like this: {prompt[:500]!r}")
        question = self._question(_plain(prompt))
        if question is None:
            raise Unrecognised(f"None of the questions is in this: {prompt[-500:]!r}")
        return Reply(question, kind, self._drafts[question] if kind is Kind.DRAFT else ANSWER)

    def _question(self, prompt: str) -> str | None:
        """The one that ends last, since each system puts it behind its passages; of those that end there, the longest."""
        ends = {
            key: (at + len(text), len(text)) for key, text in self._questions.items() if (at := prompt.rfind(text)) >= 0
        }
        return max(ends, key=lambda key: ends[key]) if ends else None


def _plain(text: str) -> str:
    return " ".join(text.split())
