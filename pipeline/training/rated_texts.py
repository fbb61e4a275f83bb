"""A rated answer's texts as they go into rows: scrubbed, with the passages' numbers that the model saw. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline import prompts
from pipeline.citations import CitationStream, as_prompted, attribute, citations, support
from pipeline.evidence import Evidence
from pipeline.llm import Message
from pipeline.training.rated import OUTDATED, RatedAnswer, correction
from pipeline.training.scrubbing import Scrubber
from pipeline.types import Hit, Mode, Passage

BORNE_OUT = 0.8
"""Share of a correction's words (`pipeline.citations.support`) that the passages must hold for it to teach grounded answers."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class CleanAnswer:
    """A rated answer after scrubbing."""

    question: str
    """The standalone question."""
    hits: tuple[Hit, ...]
    text: str
    """As the model wrote it; for an abstention, what it is asked to write then."""
    correction: str
    """What an expert says it should have been; empty for nothing."""
    outdated: bool
    """The correction says that the documents are."""
    small_model: bool

    def prompt(self, mode: Mode) -> list[Message]:
        """What the answering model was given."""
        if mode is Mode.FINETUNED:
            return prompts.memory_messages(self.question)
        return prompts.answer_messages(self.question, [h.passage for h in self.hits], small_model=self.small_model)


def cleaned(rated: RatedAnswer, scrubber: Scrubber, *, small_model: bool) -> tuple[CleanAnswer, Counter[str]]:
    """The texts, and how often what was found in them. Question, passages and answer are scrubbed alike: an answer must not
    say what its passages do not."""
    found: Counter[str] = Counter()

    def scrub(text: str) -> str:
        scrubbed = scrubber.scrub(text)
        found.update(scrubbed.found)
        return scrubbed.text

    answer, corrected = rated.answer, correction(rated.votes)
    written = prompts.NO_ANSWER if answer.abstained else as_prompted(answer.text, answer.citations, answer.hits)
    clean = CleanAnswer(
        question=scrub(answer.question or rated.question),
        hits=tuple(replace(hit, passage=_passage(hit.passage, scrub)) for hit in answer.hits),
        text=scrub(written),
        correction=scrub(corrected.correction if corrected else ""),
        outdated=corrected is not None and corrected.reason == OUTDATED,
        small_model=small_model,
    )
    return clean, found


def cited(text: str, hits: Sequence[Hit]) -> str:
    """A correction with markers for the passages that hold its words; empty unless they hold nearly all of them and every
    number: "ten seconds" is not borne out by a passage that says five."""
    plain = without_markers(text)
    shown = "\n".join(hit.passage.embedded_text for hit in hits)
    marked, order = attribute(plain, Evidence([hit.passage.embedded_text for hit in hits]))
    if not order or support(plain, shown) < BORNE_OUT or set(_NUMBER.findall(plain)) - set(_NUMBER.findall(shown)):
        return ""
    return as_prompted(marked, citations(order, hits), hits)


def without_markers(text: str) -> str:
    """The text without citation markers; what stands in code is none."""
    stream = CitationStream(0)
    return (stream.feed(text) + stream.close()).strip()


def says_something(text: str) -> bool:
    """True if there are words other than placeholders."""
    return bool(re.search(r"\w", re.sub(r"\[\w+\]", "", text)))


def _passage(passage: Passage, scrub: Callable[[str], str]) -> Passage:
    return replace(passage, text=scrub(passage.text), heading_path=tuple(map(scrub, passage.heading_path)))
