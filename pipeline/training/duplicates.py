"""Notices a text that asks or says nearly the same as a known one: an evaluation question that would leak into training.

Two texts are compared by their words (without the commonest ones, order and endings) and by their runs of characters, which
also see through typing errors. Pure, deterministic, and quick: only known texts that share a word are looked at. Questions
that are made, not typed, are compared by `pipeline.training.synthesis.near.HeldOut`, which says why.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import TrainingError

NEAR = 0.65
"""From this similarity on two texts are near-duplicates. On the 354 questions of the example corpus it joins no two that
ask for different things, and it finds a question with a greeting, other word order, typing errors or a few words more."""
MAX_CHARS = 20_000
"""Of a longer text only the beginning is compared."""
_SHINGLE = 3
"""Characters of a run (Broder 1997 calls it a shingle)."""
_LEAST_SHARED = 0.4
"""Share of a known text's words that another must hold before their characters are compared."""
_PHRASE = 3
"""A known text of at least so many words that stands whole in another one makes it a duplicate."""

_RUN = re.compile(r"[^\W_]+(?:[-.'’][^\W_]+)*")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+")
"""Scripts that write no spaces, or glue endings to words: their pairs of characters stand for words."""
_COMMON_WORDS = (
    "a about all also am an and any are as at be been but by can could did do does for from get got had has "
    "have hello hey hi how i if in into is it its just me my need no not of on one or our out please question "
    "quick so some tell than thank thanks that the their them then there these they this to us was we were "
    "what when where which who why will with would you your"
)
_COMMON = frozenset(_COMMON_WORDS.split())


@dataclass(frozen=True, slots=True)
class Match:
    """The known text that is nearest to another one."""

    text: str
    similarity: float
    """0 to 1; 1 for the same words."""


class NearDuplicates:
    """Known texts, to compare others with.

    >>> known = NearDuplicates(["Which interruptions does Stall Ratio exclude?"])
    >>> known.find("Hi! Which interruptions does the stall ratio exclude, please?") is not None
    True
    >>> known.find("Which interruptions does Startup Delay exclude?") is None
    True
    """

    def __init__(self, texts: Iterable[str] = (), *, near: float = NEAR) -> None:
        self._near = near
        self._known: list[_Text] = []
        self._holding: dict[str, list[int]] = defaultdict(list)
        for text in texts:
            self.add(text)

    def __len__(self) -> int:
        return len(self._known)

    def add(self, text: str) -> None:
        """Know one more text. One without a word is like nothing and is left out."""
        read = _Text(text)
        if not read.words:
            return
        for word in read.words:
            self._holding[word].append(len(self._known))
        self._known.append(read)

    def find(self, text: str) -> Match | None:
        """The nearest known text if it is near; None for a text of its own."""
        read = _Text(text)
        shared = Counter(at for word in read.words for at in self._holding.get(word, ()))
        best = Match("", 0.0)
        for at, count in sorted(shared.items()):
            similarity = _similarity(self._known[at], read, count)
            if similarity > best.similarity:
                best = Match(self._known[at].text, similarity)
        return best if best.similarity >= self._near else None


def read_questions(files: Sequence[Path]) -> list[str]:
    """The questions of evaluation files (JSON lines with `question`). Raises `TrainingError` for a file that cannot be read
    and for a line without a question: a question that is not held out is leaked in silence."""
    questions: list[str] = []
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            raise TrainingError(f"{file} cannot be read as questions to hold out ({exc}).") from exc
        for number, line in enumerate(lines, start=1):
            if line.strip():
                questions.append(_question(file, number, line))
    return questions


class _Text:
    """A text as it is compared."""

    __slots__ = ("_shingles", "numbers", "phrase", "text", "words")

    def __init__(self, text: str) -> None:
        self.text = text
        runs = [_stem(run) for run in _runs(text)]
        self.phrase = f" {' '.join(runs)} "
        self.words = frozenset(run for run in runs if run not in _COMMON) or frozenset(runs)
        self.numbers = frozenset(word for word in self.words if any(map(str.isdigit, word)))
        self._shingles: frozenset[str] | None = None

    @property
    def shingles(self) -> frozenset[str]:
        if self._shingles is None:
            line = f" {' '.join(run for run in self.phrase.split() if run not in _COMMON)} "
            self._shingles = frozenset(line[at : at + _SHINGLE] for at in range(max(1, len(line) - _SHINGLE + 1)))
        return self._shingles


def _similarity(known: _Text, other: _Text, shared: int) -> float:
    if shared == len(known.words) and known.phrase.count(" ") > _PHRASE and known.phrase in other.phrase:
        return 1.0
    by_words = shared / (len(known.words) + len(other.words) - shared)
    if shared < _LEAST_SHARED * len(known.words) or (known.numbers - other.numbers and other.numbers - known.numbers):
        return by_words  # one digit makes another error code, however alike its characters are
    both = len(known.shingles & other.shingles)
    return max(by_words, both / (len(known.shingles) + len(other.shingles) - both))


def _runs(text: str) -> Iterable[str]:
    plain = unicodedata.normalize("NFKC", text[:MAX_CHARS]).casefold()
    for run in _RUN.findall(_UNSPACED.sub(r" \g<0> ", plain)):
        if _UNSPACED.fullmatch(run):
            yield from (run[at : at + 2] for at in range(max(1, len(run) - 1)))
        else:
            yield run


def _stem(word: str) -> str:
    """Without an English plural's or verb's `s`: enough for "metric" and "metrics" to be one word."""
    word = word.removesuffix("'s").removesuffix("’s")
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _question(file: Path, number: int, line: str) -> str:
    try:
        question = json.loads(line)["question"]
    except (ValueError, TypeError, KeyError) as exc:
        raise TrainingError(
            f'{file.name}:{number}: no question to hold out; a line looks like {{"question": …}}.'
        ) from exc
    if not isinstance(question, str):
        raise TrainingError(f"{file.name}:{number}: the question is no text.")
    return question
