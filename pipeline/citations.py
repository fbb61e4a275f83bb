"""Citation markers in a streamed answer: checked, repaired, renumbered, and supplied where the model forgot them.

The model numbers passages as they stood in its prompt; readers see numbers in order of first appearance. Markers that
name no passage are dropped. One whose passage does not bear its sentence out is moved to the passage that does, or
dropped (`pipeline.evidence`); that is decided when the marker comes, so nothing that was shown is taken back. Nothing
inside code is taken for a marker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pipeline.evidence import Evidence, telling
from pipeline.statements import Said, sentences
from pipeline.types import Citation, Hit

_MARKER = re.compile(r"\[\s*(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\s*\](?!\()")
_MAYBE_MARKER = re.compile(r"\[[\d\s,;]{0,40}$")
"""An unfinished marker at the end of what has been streamed so far."""
_CLOSING = re.compile(r"[.!?…。！？｡．।؟]?\s*$")
_WORD = re.compile(r"[^\W_]{3,}|\d+(?:[.,]\d+)*")

SUPPORT = 0.6
"""Share of a sentence's words (3 letters and more, and numbers) from which on evaluation calls its citation supported."""


class CitationStream:
    """Turns the model's pieces into the reader's text; a marker may be cut anywhere by the pieces.

    >>> stream = CitationStream(3)
    >>> stream.feed("Ten seconds [") + stream.feed("3]. Also [9].") + stream.close()
    'Ten seconds [1]. Also.'
    """

    def __init__(self, passages: int, evidence: Evidence | None = None) -> None:
        """`evidence`: of the same passages, to repair markers by; None leaves them where the model put them."""
        self._passages = passages
        self._evidence = evidence
        self._said = Said()
        self._here: list[int] = []
        """Passages cited at this place, by markers with nothing but space between."""
        self.moved = 0
        """Markers that now name another passage."""
        self.removed = 0
        """Markers dropped because no passage bore their sentence out."""
        self._pending = ""
        self._order: list[int] = []
        self._fence = False
        self._inline = False

    @property
    def cited(self) -> tuple[int, ...]:
        """0-based passage indexes in the order of the numbers that readers see."""
        return tuple(self._order)

    def feed(self, piece: str) -> str:
        """Take a piece of the model's text, return what can be shown now."""
        self._pending += piece
        return self._drain(final=False)

    def close(self) -> str:
        """Return what was held back."""
        return self._drain(final=True)

    def _drain(self, *, final: bool) -> str:
        out: list[str] = []
        text, at = self._pending, 0
        while at < len(text):
            if not final and self._must_wait(text, at):
                break
            if text[at] in " [" and not (self._fence or self._inline):
                shown, at = self._marker(text, at, final=final)
            else:
                shown = self._plain(text, at)
                self._said.add(shown)
                at += len(shown)
            out.append(shown)
        self._pending = text[at:]
        return "".join(out)

    def _plain(self, text: str, at: int) -> str:
        """What stands at `at`, where no marker can begin: a fence, or one character."""
        if text.startswith("```", at):
            self._fence, self._inline = not self._fence, False
            return "```"
        if text[at] == "`" and not self._fence:
            self._inline = not self._inline
        elif text[at] == "\n":
            self._inline = False  # inline code never spans a paragraph; one stray backtick must not eat the rest
        return text[at]

    def _must_wait(self, text: str, at: int) -> bool:
        rest = text[at:]
        if rest in ("`", "``"):
            return True
        if self._fence or self._inline:
            return False
        stripped = rest.lstrip(" ")
        if stripped == "" or _MAYBE_MARKER.match(stripped) or re.fullmatch(r"\[[\d\s,;]+\]", stripped):
            return True
        marker = _MARKER.match(stripped)
        return bool(marker and self._statement(stripped[marker.end() :], final=False) is None)

    def _marker(self, text: str, at: int, *, final: bool) -> tuple[str, int]:
        """The marker at `at`, spaces before it included: a dropped marker takes them along."""
        start = at
        while start < len(text) and text[start] == " ":
            start += 1
        match = _MARKER.match(text, start)
        if match is None:
            end = max(start, at + 1)
            self._said.add(text[at:end])
            return text[at:end], end
        numbers = [int(n) for n in re.findall(r"\d+", match.group(1))]
        named = [n - 1 for n in dict.fromkeys(numbers) if 1 <= n <= self._passages]
        cited = self._repaired(named, text[match.end() :], final=final)
        shown = "".join(f"[{self._number(index)}]" for index in cited)
        return (text[at:start] + shown if shown else ""), match.end()

    def _statement(self, rest: str, *, final: bool) -> str | None:
        if self._evidence is None:
            return ""
        return self._said.statement(_MARKER.sub(" ", rest), final=final)

    def _repaired(self, named: list[int], rest: str, *, final: bool) -> list[int]:
        """The passages to be cited in place of those that the marker names, each once at one place."""
        if self._evidence is None:
            return named
        statement = self._statement(rest, final=final) or ""
        before = self._here if self._said.marked else []
        self._here = list(before)
        for index in named:
            better = self._evidence.repaired(statement, index, self._said.text + statement)
            self.removed += better is None
            self.moved += better not in (None, index)
            if better is not None and better not in self._here:
                self._here.append(better)
        self._said.mark()
        return self._here[len(before) :]

    def _number(self, index: int) -> int:
        if index not in self._order:
            self._order.append(index)
        return self._order.index(index) + 1


def citations(cited: Sequence[int], hits: Sequence[Hit]) -> tuple[Citation, ...]:
    """The list under the answer: `cited` holds 0-based indexes into `hits`."""
    return tuple(
        Citation(number, hits[i].passage.title, hits[i].passage.location, hits[i].passage.id)
        for number, i in enumerate(cited, start=1)
    )


def as_prompted(text: str, cited: Sequence[Citation], hits: Sequence[Hit]) -> str:
    """A finished answer with its passages' numbers in the prompt instead of the readers': as the model should have written it.

    Markers of passages that are not among `hits` are dropped.
    """
    places = {hit.passage.id: place for place, hit in enumerate(hits, start=1)}
    stream = _Prompted({citation.number: places.get(citation.passage_id, 0) for citation in cited})
    return stream.feed(text) + stream.close()


class _Prompted(CitationStream):
    """Turns readers' numbers back."""

    def __init__(self, numbers: Mapping[int, int]) -> None:
        super().__init__(max(numbers, default=0))
        self._numbers = numbers

    def _number(self, index: int) -> int:
        return self._numbers.get(index + 1, 0)

    def _marker(self, text: str, at: int, *, final: bool) -> tuple[str, int]:
        shown, end = super()._marker(text, at, final=final)
        return ("" if "[0]" in shown else shown), end


def attribute(text: str, evidence: Evidence) -> tuple[str, tuple[int, ...]]:
    """Cite for a model that did not: each sentence gets the passage that bears it out, if any does.

    Returns the text with markers and the cited indexes. Sentences that no passage supports stay uncited.
    """
    order: list[int] = []
    out: list[str] = []
    fenced = False
    for line in text.split("\n"):
        fenced ^= line.lstrip().startswith("```")
        unmarked = fenced or line.lstrip().startswith(("```", "#", "|"))
        out.append(line if unmarked else "".join(_cite(part, evidence, order) for part in sentences(line)))
    return "\n".join(out), tuple(order)


def _cite(sentence: str, evidence: Evidence, order: list[int]) -> str:
    best = evidence.best(sentence) if telling(sentence) else None
    if best is None:
        return sentence
    if best not in order:
        order.append(best)
    end = _CLOSING.search(sentence)
    cut = end.start() if end else len(sentence)
    return f"{sentence[:cut]} [{order.index(best) + 1}]{sentence[cut:]}"


def support(sentence: str, source: str) -> float:
    """Share of a sentence's words that `source` holds, 0 to 1; markers are no words, and a wordless sentence needs none."""
    words = _words(_MARKER.sub(" ", sentence))
    return len(words & _words(source)) / len(words) if words else 1.0


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}
