"""Which language and which release of the product a page is about, as its path says."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LANGUAGES = frozenset(
    [
        "ar",
        "bg",
        "cs",
        "da",
        "de",
        "el",
        "en",
        "es",
        "fa",
        "fi",
        "fr",
        "he",
        "hi",
        "hu",
        "id",
        "it",
        "ja",
        "ko",
        "nb",
        "nl",
        "no",
        "pl",
        "pt",
        "ro",
        "ru",
        "sk",
        "sv",
        "th",
        "tr",
        "uk",
        "vi",
        "zh",
    ]
)
_SAME = frozenset({"", "."})
"""Parts of a path that lead nowhere else."""
_LANGUAGE = re.compile(r"(?P<language>[a-z]{2})(?:[-_](?P<region>[a-z]{2}|hans|hant))?", re.IGNORECASE)
_RELEASE = re.compile(r"v\d+(?:\.(?:\d+|x))*|\d+(?:\.(?:\d+|x)){1,3}|latest|stable|nightly|master", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Edition:
    """What a path says."""

    language: str
    """`en`, `pt-br`; empty if it does not say."""
    release: str
    """`2.3`, `v2`, `latest`; empty if it does not say."""
    page: str
    """The path without language and release: equal for all editions of a page."""


def edition_of(path: str) -> Edition:
    """Read folders like `/de/` and `/v2.1/`, and names like `setup.de.md`, from a path or URL.

    >>> edition_of("docs/pt-BR/v2.1/setup.md")
    Edition(language='pt-br', release='v2.1', page='docs/setup.md')
    """
    language = release = ""
    kept: list[str] = []
    *folders, name = [part for part in path.partition("?")[0].split("/") if part not in _SAME] or [""]
    for folder in folders:
        if not language and (found := language_tag(folder)):
            language = found
        elif not release and _RELEASE.fullmatch(folder):
            release = folder.lower()
        else:
            kept.append(folder)
    stem, dot, inner = name.rpartition(".")[0].rpartition(".")
    if not language and dot and (found := language_tag(inner)):
        language, name = found, stem + name[name.rindex(".") :]
    return Edition(language, release, "/".join([*kept, name]))


def language_tag(text: str) -> str:
    """`text` as a lower-case tag if it is one of the languages that documentation is written in; else empty.

    >>> language_tag("zh_Hans"), language_tag("go")
    ('zh-hans', '')
    """
    match = _LANGUAGE.fullmatch(text.strip())
    if match is None or match["language"].lower() not in _LANGUAGES:
        return ""
    return match["language"].lower() + (f"-{match['region'].lower()}" if match["region"] else "")
