"""What a rule finds, and what is put in its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What was found; `[kind]` stands in its place."""

    KEY = "key"
    """Passwords, API keys, tokens, private keys."""
    CREDENTIALS = "credentials"
    """`user:password` in a URL."""
    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
    """Credit cards."""
    ACCOUNT = "account"
    """Bank accounts and social security numbers."""
    IP = "ip"
    MAC = "mac"
    """Hardware addresses."""
    ID = "id"
    """UUIDs and long hexadecimal numbers: of sessions, devices, customers."""
    PERSON = "person"
    """Mentions in Slack's and Teams' notation."""
    CHANNEL = "channel"
    LINK = "link"
    """Links into conversations."""
    NAME = "name"
    """Names of people."""


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text: `text[start:end]` is to be replaced."""

    start: int
    end: int
    kind: Kind


Finder = Callable[[str], Iterator[Span]]
"""A rule: gives places in order, none inside another. It sees a text whose every character stands where the original's does."""


def matches(
    pattern: re.Pattern[str],
    kind: Kind,
    accept: Callable[[re.Match[str]], bool] = lambda _match: True,
    group: int | str = 0,
) -> Finder:
    """A rule from a pattern: replaces `group` of each match that `accept` takes.

    Patterns here begin where a run of their characters begins and repeat possessively (`++`) or a bounded number of times, so
    that no text takes more than linear time.
    """

    def find(text: str) -> Iterator[Span]:
        for match in pattern.finditer(text):
            if accept(match):
                yield Span(match.start(group), match.end(group), kind)

    return find
