"""Names of people, where they can be found without knowing a language: known ones, and those in greetings and sign-offs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from pipeline.training.scrubbing.spans import Finder, Kind, Span

_WORD = re.compile(r"[^\W\d_]+(?:['’.-][^\W\d_]+)*|\w+")
_GAP = r"[ \t]{0,8}"
_PART = r"[^\W\d_][\w'’-]{1,30}"
_NAME = rf"{_PART}(?:[ \t]{{1,3}}{_PART}){{0,2}}"
_BEGINNING = rf"(?:^|(?<=[.!?,;:]){_GAP}){_GAP}"
"""Of a line or a sentence."""
_GREETING = re.compile(
    rf"{_BEGINNING}(?:hi|hello|hey|dear|good (?:morning|afternoon|evening)|hallo|liebe[rs]?|guten (?:tag|morgen)|moin|servus"
    rf"|bonjour|salut|cher|chère|hola|buenos días|ciao|olá|hej)[ \t,]{{1,4}}({_NAME}(?:[ \t](?:&[ \t])?{_NAME})?)"
    rf"(?={_GAP}(?:[,!:.;–—-]|$))",
    re.IGNORECASE | re.MULTILINE,
)
_SIGN_OFF = re.compile(
    rf"{_BEGINNING}(?:"
    rf"(?:thanks|thank you|thx|many thanks|cheers|danke|vielen dank|merci|gracias|grazie|obrigado){_GAP}[,!.–—-]?{_GAP}\n?"
    r"|(?:(?:best |kind |warm )?regards|best|best wishes|sincerely|yours|br|gruß|grüße|(?:liebe|viele|beste) grüße|lg|vg|mfg"
    rf"|cordialement|saludos){_GAP}(?:[,!.–—-]{_GAP}\n?|\n))"
    rf"{_GAP}(?:[-–—~]{_GAP})?({_NAME}){_GAP}[.!]?{_GAP}$",
    re.IGNORECASE | re.MULTILINE,
)
_INTRODUCED = re.compile(
    rf"\b(?i:my name is|mein name ist|ich heiße|je m'appelle|me llamo|mi nombre es)[ \t]{{1,3}}({_NAME})"
    rf"|\b[Tt]his is[ \t]({_NAME}?)[ \t](?:from|at)\b"
    rf"|\b(?:M(?:rs?|s|me)|Dr|Prof|Herrn?|Frau|Monsieur|Madame)\b\.?[ \t]{{1,3}}({_NAME})"
)
_HONORIFIC = re.compile(r"(?<![\u3400-\u9fff\u30a0-\u30ff])[\u3400-\u9fff\u30a0-\u30ff]{1,8}(?=さん|様|氏|くん|ちゃん)")

_JOINING = frozenset({"and", "und", "et", "y", "e"})
_NOBODYS = (
    "all team everyone everybody folks there world guys people support bot friends both again you sir madam colleagues "
    "ladies gentlemen zusammen alle kollegen tout monde todos tous the a an this we i slack teams for in advance so or "
    "if when how what why where my our to please can could is are do does which who customer user admin docs"
)
_NOBODY = frozenset(_NOBODYS.split())
"""Words that come after a greeting or thanks and are nobody's name."""


class Names:
    """Rules that know some names.

    A full name or an account's (`ada.lovelace`) is taken out wherever it stands. A first name alone may be a word ("Mark",
    "Max"): it is taken out where somebody is greeted, signs, is introduced or called with an @.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        split = [tuple(_WORD.findall(name.casefold())) for name in known]
        full = {words for words in split if len(words) > 1 or (words and _is_account(words[0]))}
        self._full = full | {tuple(reversed(words)) for words in full if len(words) == 2}
        self._longest = max(map(len, self._full), default=0)
        self._parts = frozenset(part for words in split for part in words if len(part) > 1)
        self.rules: tuple[Finder, ...] = (self._known, self._greeted)

    def _known(self, text: str) -> Iterator[Span]:
        words = list(_WORD.finditer(text)) if self._parts else []
        folded = [word.group().casefold() for word in words]
        at = 0
        while at < len(words):
            size = self._size(text, words, folded, at)
            if size:
                yield Span(words[at].start(), words[at + size - 1].end(), Kind.NAME)
            at += size or 1

    def _size(self, text: str, words: list[re.Match[str]], folded: list[str], at: int) -> int:
        """How many words the known name has that begins at this word; 0: none begins here."""
        for size in range(min(self._longest, len(words) - at), 0, -1):
            if tuple(folded[at : at + size]) in self._full and _close(text, words[at : at + size]):
                return size
        called = folded[at] in self._parts and text[max(0, words[at].start() - 1) : words[at].start()] == "@"
        return 1 if called else 0

    def _greeted(self, text: str) -> Iterator[Span]:
        found = [
            span
            for pattern in (_GREETING, _SIGN_OFF, _INTRODUCED)
            for match in pattern.finditer(text)
            for span in self._persons(match)
        ]
        found += [Span(match.start(), match.end(), Kind.NAME) for match in _HONORIFIC.finditer(text)]
        yield from _apart(found)

    def _persons(self, match: re.Match[str]) -> Iterator[Span]:
        """The names in what was greeted: words with a capital, until one that is nobody's."""
        group = match.lastindex or 1
        begun: re.Match[str] | None = None
        last: re.Match[str] | None = None
        for word in re.finditer(r"[^\W\d_][\w'’-]*", match.group(group)):
            joining = word.group().casefold() in _JOINING
            if not joining and self._is_name(word.group()):
                begun, last = begun or word, word
                continue
            if begun and last:
                yield Span(match.start(group) + begun.start(), match.start(group) + last.end(), Kind.NAME)
            begun = last = None
            if not joining:
                return
        if begun and last:
            yield Span(match.start(group) + begun.start(), match.start(group) + last.end(), Kind.NAME)

    def _is_name(self, word: str) -> bool:
        """A capital as names have, and no acronym; or a name that is known."""
        folded = word.casefold()
        if folded in self._parts:
            return True
        return word[0].isupper() and folded not in _NOBODY and not any(map(str.isupper, word[1:]))


def _is_account(word: str) -> bool:
    return "." in word or "-" in word


def _close(text: str, words: list[re.Match[str]]) -> bool:
    """Nothing but a little space between the words of a name."""
    return all(
        text[one.end() : next_.start()].strip(" \t.,") == "" and next_.start() - one.end() < 4
        for one, next_ in pairwise(words)
    )


def _apart(spans: Iterable[Span]) -> Iterator[Span]:
    """In order, without those that reach into an earlier one."""
    at = 0
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        if span.start >= at:
            at = span.end
            yield span
