"""The completion of a draft row: what the model is to remember for a question. One function a form.

The heading path always comes first: retrieval may look at a draft's first words only (`PROMPTAI_DRAFT_WORDS`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from pipeline.training.synthesis.examples import Example
from pipeline.training.synthesis.markdown import running
from pipeline.training.synthesis.tokens import estimate, shortened
from pipeline.training.synthesis.vocabulary import Vocabulary
from pipeline.types import Passage

TERMS = 12
"""Characteristic terms of a draft of the form `headings`."""


class DraftForm(StrEnum):
    """How a draft is written."""

    PROSE = "prose"
    """The heading path, then the passage from its beginning: the same for every question that the passage answers."""
    ANSWER = "answer"
    """The heading path, then the answer to this question; from the passage's beginning where none is known."""
    HEADING = "heading"
    """The heading path alone: the least to learn, for a model too small to remember more."""
    HEADINGS = "headings"
    """The heading path, then the passage's characteristic terms: little to learn, rich to retrieve with."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """Writes drafts of one form."""

    form: DraftForm
    tokens: int
    """Estimated tokens of a draft, at most; `PROMPTAI_DRAFT_TOKENS` cuts what is longer when it is served."""
    vocabulary: Vocabulary

    def write(self, example: Example) -> str:
        """The draft of the example; of several passages the headings come first, each once."""
        headings = list(dict.fromkeys(heading(passage) for passage in example.gold))
        head = shortened_lines(headings, self.tokens)
        body = _FORMS[self.form](example, self.vocabulary)
        room = self.tokens - estimate(head)
        return f"{head}\n{shortened(body, room)}".strip() if body and room > 0 else head


def heading(passage: Passage) -> str:
    """The heading path as it is indexed."""
    return " > ".join(passage.heading_path) or passage.title


def shortened_lines(lines: list[str], limit: int) -> str:
    """The first lines that fit `limit` tokens; of the first one what fits."""
    kept = [shortened(lines[0], limit)]
    for line in lines[1:]:
        limit -= estimate(kept[-1])
        if estimate(line) > limit:
            break
        kept.append(line)
    return "\n".join(kept)


def _prose(example: Example, _: Vocabulary) -> str:
    return running(example.gold[0].text) if len(example.gold) == 1 else example.answer


def _answer(example: Example, vocabulary: Vocabulary) -> str:
    return example.answer or _prose(example, vocabulary)


def _nothing(_: Example, __: Vocabulary) -> str:
    return ""


def _headings(example: Example, vocabulary: Vocabulary) -> str:
    if len(example.gold) > 1:  # of a global question: the pages are what counts
        return ""
    return ", ".join(vocabulary.characteristic(example.gold[0], TERMS))


_FORMS: dict[DraftForm, Callable[[Example, Vocabulary], str]] = {
    DraftForm.PROSE: _prose,
    DraftForm.ANSWER: _answer,
    DraftForm.HEADING: _nothing,
    DraftForm.HEADINGS: _headings,
}
