"""Secrets: private keys, tokens with a known beginning, values after `password=`, and whatever looks drawn by lot."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipeline.training.scrubbing.spans import Finder, Kind, Span, matches

_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_LETTERS = r"(?<![A-Za-z0-9_-])"
"""A token begins where no word is going on."""

_PREFIXED = re.compile(
    _LETTERS + r"(?:"
    r"xox[abceoprs]-[A-Za-z0-9-]{8,}+|xapp-[A-Za-z0-9-]{8,}+"  # Slack
    r"|gh[opsur]_[A-Za-z0-9]{20,}+|github_pat_[A-Za-z0-9_]{20,}+|glpat-[A-Za-z0-9_-]{16,}+"  # GitHub, GitLab
    r"|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"  # AWS
    r"|AIza[A-Za-z0-9_-]{30,}+|ya29\.[A-Za-z0-9_-]{20,}+"  # Google
    r"|[spr]k_(?:live|test)_[A-Za-z0-9]{10,}+|shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{20,}+"  # Stripe, Shopify
    r"|hf_[A-Za-z0-9]{30,}+|npm_[A-Za-z0-9]{30,}+|pypi-[A-Za-z0-9_-]{40,}+|dop_v1_[a-f0-9]{40,}+"
    r"|SG\.[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{16,}+|key-[a-f0-9]{32}|sqp_[a-f0-9]{40}|lin_api_[A-Za-z0-9]{30,}+"
    r")"
)
_SK = re.compile(_LETTERS + r"sk-[A-Za-z0-9_-]{16,}+")
"""OpenAI's and others' keys; also how a hyphenated word may begin, so a digit is wanted."""
_JWT = re.compile(_LETTERS + r"eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{4,}+(?:\.[A-Za-z0-9_-]*+){0,3}")
_WEBHOOK = re.compile(
    r"https://(?:hooks\.slack\.com/(?:services|workflows|triggers)/|[\w.-]{1,80}\.webhook\.office\.com/)[^\s<>\"')|]++",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"\b(?:bearer|basic)[ \t]{1,4}([A-Za-z0-9._~+/=-]{12,}+)", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"(?<![A-Za-z0-9])((?:[A-Za-z0-9]{1,20}[_-]){0,4}"
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|apikey|access[_-]?key|private[_-]?key|client[_-]?secret"
    r"|signature|sig|kennwort|passwort|contraseña|mot de passe))"
    r"[\"'`]?[ \t]{0,3}(?:=|:|\bis\b|\blautet\b)[ \t]{0,3}[\"'`]?([^\s\"'`<>{}$&,;()\[\]][^\s\"'`<>{}&,;()\[\]]{5,})",
    re.IGNORECASE,
)
_URL_CREDENTIALS = re.compile(r"(?<=://)([^\s/@:<>\[\]]{0,256}:[^\s/@<>\[\]]{1,256}|[^\s/@:<>\[\]]{12,256})(?=@)")
_RUN = re.compile(r"[A-Za-z0-9+/_=-]{20,}+")
_CHUNK = re.compile(r"[^/=]{20,}+")
_SEPARATED = re.compile(r"[_-]")
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
_HEX = re.compile(r"(?<![A-Za-z0-9])(?:0x)?[0-9A-Fa-f]{32,}+(?![A-Za-z0-9])")
_UUID = re.compile(
    r"(?<![A-Za-z0-9])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![A-Za-z0-9])", re.IGNORECASE
)

LEAST_RANDOM = 20
"""Characters from which a string can look drawn by lot: 20 of base 62 hold 119 bits."""
_PIECE_LENGTH = 2.7
"""Mean length of the words and numbers that a string falls into: 3.5 and more in names people chose (`StartupDelayMs`,
`p95`-like parts are too short to be looked at), 1.9 in base 62, 2.1 in hexadecimal, 2.5 in base 36."""


def private_keys(text: str) -> Iterator[Span]:
    """PEM blocks; one without an end takes the rest of the text with it."""
    at = 0
    while begin := _BEGIN.search(text, at):
        end = _END.search(text, begin.end())
        at = end.end() if end else len(text)
        yield Span(begin.start(), at, Kind.KEY)


def random_strings(text: str) -> Iterator[Span]:
    """Strings without words in them. Names of metrics, files, classes and models are made of words and stay."""
    for run in _RUN.finditer(text):
        if _SEPARATED.search(run.group()) is None and looks_random(re.sub(r"[/+]", "", run.group()), kinds=3):
            yield Span(run.start(), run.end(), Kind.KEY)  # base 64, whose / and + separate nothing
            continue
        for chunk in _CHUNK.finditer(run.group()):
            parts = _SEPARATED.split(chunk.group())
            if any(map(looks_random, parts)) or (len(parts) < 4 and looks_random("".join(parts), kinds=3)):
                yield Span(run.start() + chunk.start(), run.start() + chunk.end(), Kind.KEY)


def looks_random(text: str, kinds: int = 2) -> bool:
    """True for `LEAST_RANDOM` and more characters, of at least so many `kinds` (digits, capitals, small letters), that fall
    into short pieces."""
    if len(text) < LEAST_RANDOM or text.isdigit():
        return False
    there = sum(any(test(char) for char in text) for test in (str.isdigit, str.isupper, str.islower))
    return there >= kinds and len(text) <= _PIECE_LENGTH * len(_PIECE.findall(text))


def _has_digit(match: re.Match[str]) -> bool:
    return any(map(str.isdigit, match.group()))


def _is_secret(match: re.Match[str]) -> bool:
    """A value, no word of a sentence or a name: `token: required` and `apiKey: X-Api-Key` stay."""
    name, value = match.group(1).lower(), match.group(2)
    password = any(part in name for part in ("pass", "pwd", "wort", "contra"))
    if password and (value.isdigit() or any(map(str.isupper, value[1:]))):
        return True
    return not value.isdigit() and any(not (char.isalpha() or char in "-_.…:/") for char in value)


def _is_token(match: re.Match[str]) -> bool:
    value = match.group(1)
    return any(map(str.isdigit, value)) or any(map(str.isupper, value[1:]))


RULES: tuple[Finder, ...] = (
    private_keys,
    matches(_WEBHOOK, Kind.KEY),
    matches(_URL_CREDENTIALS, Kind.CREDENTIALS),
    matches(_JWT, Kind.KEY),
    matches(_PREFIXED, Kind.KEY),
    matches(_SK, Kind.KEY, _has_digit),
    matches(_AUTHORIZATION, Kind.KEY, _is_token, group=1),
    matches(_ASSIGNED, Kind.KEY, _is_secret, group=2),
)
"""In this order, before the rules of `contacts`: a password may hold an @."""

LATER: tuple[Finder, ...] = (matches(_UUID, Kind.ID), matches(_HEX, Kind.ID), random_strings)
"""After all others: what is left and looks drawn by lot."""
