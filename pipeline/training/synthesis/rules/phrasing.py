"""English wordings of what headings, table cells and lists are asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.types import Passage

_IT = re.compile(
    r"(?P<what>what|how|when|where|why) (?:it|this) (?P<verb>\w+?)(?P<s>e?s)?(?P<rest> .*)?", re.IGNORECASE
)
_QUESTION = re.compile(r"(?:what|how|when|where|which|who|why|can|do|does|is|are|should)\b", re.IGNORECASE)
_DOES = {"is": "is", "are": "are", "was": "was", "has": "have"}
_PLURAL = re.compile(r"(?:[^s]|\w\ws)s$")
_CODE = re.compile(r"(?P<code>[A-Z]{2,}[-_ ]?\d[\w-]*): (?P<name>.+)")
_MARKS = re.compile(r"`|\*{1,2}(?=\S)|(?<=\S)\*{1,2}")
INTRODUCTIONS = frozenset({"definition", "overview", "introduction", "about", "summary", "what it is", "description"})
"""Headings that say no more than that the page's subject is explained."""


def subject(passage: Passage) -> str:
    """What the page is about."""
    return passage.heading_path[0] if passage.heading_path else passage.title


def subjects(passage: Passage) -> Sequence[str]:
    """Ways to name it: of `PG-1204: Too many redirects` also the code and the name alone."""
    whole = subject(passage)
    match = _CODE.fullmatch(whole)
    return [whole, match["code"], match["name"]] if match else [whole]


def section(passage: Passage) -> str:
    """The heading that the passage stands under; empty at the top of the page."""
    return passage.heading_path[-1] if len(passage.heading_path) > 1 else ""


def inner(heading: str) -> str:
    """As it stands within a sentence: small at the beginning, unless a name or an abbreviation begins there."""
    first, _, rest = heading.partition(" ")
    small = first == "A" or (first[:1].isupper() and first[1:].islower())
    names = rest and rest[:1].isupper()
    return heading[:1].lower() + heading[1:] if small and not names else heading


def about_section(page: str, heading: str) -> list[str]:
    """Questions for what stands under `heading` on the page about `page`."""
    low, first = inner(heading), heading.partition(" ")[0].lower()
    if it := _IT.fullmatch(heading):
        told = [_about_it(page, it), f"{page}: {low}?"]
    elif heading.endswith("?"):
        told = [heading, f"{heading[:-1]} ({page})?"]
    elif heading.lower().startswith("how to "):
        told = [f"How do I {low[7:]}?", f"{page}: {low}?", f"How can I {low[7:]} ({page})?"]
    elif heading.lower() == "what to do":
        told = [f"What should I do about {page}?", f"How do I fix {page}?", f"{page}: what to do?"]
    elif _QUESTION.match(heading):
        told = [f"{heading} ({page})?", f"{page}: {low}?", f"Explain {low} for {page}."]
    elif first.endswith("ing"):
        told = [f"How does {low} work in {page}?", f"{page}: {low}?", f"Tell me about {low} in {page}."]
    else:
        verb = "are" if _PLURAL.search(heading) else "is"
        told = [f"What {verb} the {low} of {page}?", f"{page}: {low}?", f"What does {page} say about {low}?"]
        told += [f"Tell me about the {low} of {page}.", f"{low} {page}"]
    return told


def names_things(heading: str) -> bool:
    """Whether it can follow "which": `Usual causes`, unlike `What it means` and `Using it`."""
    first = heading.partition(" ")[0].lower()
    return bool(_PLURAL.search(heading)) and not (_QUESTION.match(heading) or first.endswith("ing") or ":" in heading)


def about_page(page: str) -> list[str]:
    """Questions for what the page is about."""
    return [f"What is {page}?", f"What does {page} mean?", f"Explain {page}.", f"{page}?", f"Define {page}."]


def bare(text: str) -> str:
    """Without marks of code and emphasis."""
    return _MARKS.sub("", text).strip()


def _about_it(page: str, it: re.Match[str]) -> str:
    what, verb, rest = it["what"].capitalize(), it["verb"] + (it["s"] or ""), it["rest"] or ""
    if verb.lower() in ("is", "are", "was"):
        return f"{what} {verb.lower()} {page}{rest}?"
    base = _DOES.get(verb.lower()) or _base(it["verb"], it["s"] or "")
    return f"{what} does {page} {base}{rest}?"


def _base(stem: str, ending: str) -> str:
    """The verb without its s: `excludes`, `watches`, `means`."""
    if ending == "es" and not stem.endswith(("s", "x", "z", "ch", "sh", "o")):
        return stem + "e"
    return stem
