"""Where a person or a machine can be reached, or who is meant: e-mail, phone, cards, addresses, mentions."""

from __future__ import annotations

import ipaddress
import re

from pipeline.training.scrubbing.spans import Finder, Kind, matches

_LOCAL = r"[^\W_](?:[\w.+'-]{0,62}[\w+-])?"
_AT = r"(?:@|[ \t]?[\[({][ \t]?(?:at|ät|arroba)[ \t]?[\])}][ \t]?)"
_DOT = r"(?:\.|[ \t]?[\[({][ \t]?(?:dot|punkt|punto|point)[ \t]?[\])}][ \t]?)"
_EMAIL = re.compile(
    rf"(?<![\w.+'-]){_LOCAL}{_AT}[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{0,6}}{_DOT}[^\W\d_]{{2,24}}(?![\w])",
    re.IGNORECASE,
)
_SPOKEN_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}[ \t](?:AT|at)[ \t][\w-]{1,63}(?:[ \t](?:DOT|dot)[ \t][\w-]{1,63}){0,4}"
    r"[ \t](?:DOT|dot)[ \t](?:com|org|net|edu|gov|io|ai|dev|co|uk|de|fr|es|it|nl|ch|at|eu|jp|in|br)\b"
)

_MENTIONS = (
    (re.compile(r"<@[A-Z0-9]{2,32}(?:\|[^<>]{0,200})?>"), Kind.PERSON),
    (re.compile(r"<!subteam\^[A-Z0-9]{2,32}(?:\|[^<>]{0,200})?>"), Kind.PERSON),
    (re.compile(r"<#[A-Z0-9]{2,32}(?:\|[^<>]{0,200})?>"), Kind.CHANNEL),
    (re.compile(r"<at(?: [^<>]{0,200})?>[^<>]{0,200}</at>", re.IGNORECASE), Kind.PERSON),
    (re.compile(r"(?<!\w)@[UW](?=[A-Z]{0,10}[0-9])[A-Z0-9]{7,11}(?!\w)"), Kind.PERSON),
)
_CONVERSATION = re.compile(
    r"https://(?:[\w-]{1,63}(?:\.enterprise)?\.slack\.com/(?:archives|team|files|client)/|teams\.microsoft\.com/l/"
    r"|app\.slack\.com/client/)[^\s<>\"')|\]]++",
    re.IGNORECASE,
)

_DIGITS = re.compile(r"\d")
_CARD = re.compile(
    r"(?<![\w.,-])[2-6]\d{3}(?:[ -]?\d{4}){2}[ -]?\d{1,7}(?![\w-])|(?<![\w.,-])3[47]\d{2}[ -]?\d{6}[ -]?\d{5}(?![\w-])"
)
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")

_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])")
_GROUP = re.compile(r"[0-9A-Fa-f]+")
_MAC = re.compile(r"(?<![\w:-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])")
_VERSION = re.compile(
    r"(?:\b(?:versions?|releases?|builds?|firmware|driver|upgrade[sd]? to|v)|==|>=|<=|~=)[ \t:=]{0,3}\Z",
    re.IGNORECASE,
)
_EXAMPLES = tuple(map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")))
"""Addresses for documentation (RFC 5737, RFC 3849)."""

_PHONE = re.compile(
    r"(?<![\w+.])(?:\+|00(?=[1-9]\d{0,2}[ /.-]))[1-9](?:[ \t./()\u2010-\u2013-]{0,3}\d){8,16}(?!\w)"
    r"|(?<![\w+.-])(?:1[ .-])?(?:\(\d{3}\)[ ]?\d{3}[ .-]|[2-9]\d{2}[.-]\d{3}[.-])\d{4}(?![\w-]|\.\d)"
)
_CALLED = re.compile(
    r"\b(?:tel(?:efon|ephone)?|phone|mobile|cell|fax|call(?: me)?(?: at| on)?|handy|mobil|ring|whatsapp|reach me (?:at|on)"
    r"|durchwahl|telefono|téléphone)\b[.:]{0,2}[ \t]{0,3}(?:number)?[: \t]{0,3}"
    r"(\(?\d(?:[ \t./()\u2010-\u2013-]{0,3}\d){5,16})(?!\w)",
    re.IGNORECASE,
)
"""National numbers look like any number: only where somebody says that it is one."""


def _is_somebodys(match: re.Match[str]) -> bool:
    """`git@github.com` is how a repository is written."""
    return not match.group().startswith("git@")


def _is_card(match: re.Match[str]) -> bool:
    """13 to 19 digits whose check digit is right (Luhn, ISO/IEC 7812-1)."""
    digits = [int(digit) for digit in _DIGITS.findall(match.group())]
    doubled = [d if at % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for at, d in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and sum(doubled) % 10 == 0


def _is_iban(match: re.Match[str]) -> bool:
    """The remainder that ISO 13616 asks for."""
    letters = match.group().replace(" ", "")
    return len(letters) >= 15 and int("".join(str(int(char, 36)) for char in letters[4:] + letters[:4])) % 97 == 1


def _is_address(match: re.Match[str]) -> bool:
    """An address that leads somewhere: no version, mask, loopback or example, all of which documents are full of."""
    try:
        address = ipaddress.ip_address(match.group())
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return False
    if address.version == 4 and (
        match.group().startswith("255.") or _VERSION.search(match.string[max(0, match.start() - 24) : match.start()])
    ):
        return False
    if address.version == 6 and (len(_GROUP.findall(match.group())) < 3 or not any(map(str.isdigit, match.group()))):
        return False  # `abc::def` and `[::2]` are more often code
    return not any(address in network for network in _EXAMPLES if network.version == address.version)


RULES: tuple[Finder, ...] = (
    *(matches(pattern, kind) for pattern, kind in _MENTIONS),
    matches(_CONVERSATION, Kind.LINK),
    matches(_EMAIL, Kind.EMAIL, _is_somebodys),
    matches(_SPOKEN_EMAIL, Kind.EMAIL),
    matches(_MAC, Kind.MAC),
    matches(_IPV4, Kind.IP, _is_address),
    matches(_IPV6, Kind.IP, _is_address),
    matches(_IBAN, Kind.ACCOUNT, _is_iban),
    matches(_CARD, Kind.CARD, _is_card),
    matches(_SSN, Kind.ACCOUNT),
    matches(_PHONE, Kind.PHONE),
    matches(_CALLED, Kind.PHONE, group=1),
)
