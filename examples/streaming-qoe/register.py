#!/usr/bin/env python3
"""Turn marked-up drafts into pages and register the numbers they state.

    python register.py DRAFT...        a draft: '=== docs/guides/x.md' lines, each followed by a page
    python register.py --show PAGE     the page again as a draft, to edit and register anew

A draft writes a number as [[fact.id]] or, in an example, as [[=12]]; see generate.py.  The page
gets the plain text; facts/claims.yaml gets, for each page, the facts in the order they are stated.
check.py compares the two.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent


@functools.cache
def _load(name: str):
    spec = importlib.util.spec_from_file_location(f"streaming_qoe_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gen = _load("generate")
_FENCE = re.compile(r"^```.*?^```", re.M | re.S)
_RELEASE = re.compile(r"\b[Rr]elease $")
_HTTP = re.compile(r"\bHTTP $")


def tenant_of(page: str) -> str | None:
    parts = page.split("/")
    return parts[1] if parts[0] == "tenants" else None


def render(page: str, draft: str, facts) -> tuple[str, list[str], list[str]]:
    """The page's text, its claims in order, and what is wrong with the draft."""
    fences = [m.span() for m in _FENCE.finditer(draft)]
    marks = {m.start(): m for m in gen.MARK.finditer(draft)}
    hidden = gen.MARK.sub(lambda m: "\x00" * len(m.group(0)), draft)
    spots: list[tuple[int, int, str]] = [(m.start(), m.end(), m.group(1)) for m in marks.values()]
    errors = []
    for at, text in gen.numbers(hidden):
        before = hidden[max(0, at - 12) : at]
        if _RELEASE.search(before):
            spots.append((at, at + len(text), f"@{text}"))
        elif _HTTP.search(before) or any(a <= at < b for a, b in fences):
            spots.append((at, at + len(text), f"={text}"))
        else:
            errors.append(f"{page}: unmarked number near '{hidden[max(0, at - 30) : at + 25]}'".replace("\n", " "))
    out, claims, last = [], [], 0
    for start, end, reference in sorted(spots):
        try:
            literal = facts.literal(reference)
        except gen.FactError as error:
            errors.append(f"{page}: {error}")
            continue
        if reference.startswith("=") and "|" in reference:
            problem = gen.check_sum(reference)
            if problem:
                errors.append(f"{page}: {problem}")
        out += [draft[last:start], literal]
        last = end
        if gen.numbers(literal):
            claims.append(reference)
    out.append(draft[last:])
    return "".join(out).strip("\n") + "\n", claims, errors


def write_claims(claims: dict[str, list[str]], root: Path = HERE) -> None:
    lines = [
        "# For each prose page, the facts it states, in order.  Written by register.py.",
        "# id[:form] a fact; =text an example's number; =text|sum with its sum; @x.y a release.",
    ]
    for page in sorted(claims):
        if claims[page]:
            lines.append(f"{page}:")
            lines += [f"  - {yaml.safe_dump(c, default_style=chr(34), width=4000).strip()}" for c in claims[page]]
        else:
            lines.append(f"{page}: []")
    (root / "facts" / "claims.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def as_draft(page: str, root: Path = HERE) -> str:
    """A page with its numbers as markers again."""
    check = _load("check")
    claims = check.claims_of(root).get(page) or []
    facts = check.gen.Facts(root, tenant_of(page))
    text = (root / page).read_text(encoding="utf-8")
    spans, errors = check.match_claims(page, text, claims, facts)
    if errors:
        raise SystemExit("\n".join(errors))
    out, last = [], 0
    for start, end, reference in spans:
        marker = text[start:end] if reference.startswith("@") else f"[[{reference}]]"
        out += [text[last:start], marker]
        last = end
    return "".join(out) + text[last:]


def main(argv: list[str]) -> int:
    if argv[:1] == ["--show"]:
        for page in argv[1:]:
            print(f"=== {page}\n{as_draft(page)}")
        return 0
    claims = dict(gen.read_yaml(HERE / "facts" / "claims.yaml") or {})
    problems, done = [], {}
    for name in argv:
        parts = re.split(r"^=== (\S+)\n", Path(name).read_text(encoding="utf-8"), flags=re.M)
        for page, draft in zip(parts[1::2], parts[2::2], strict=False):
            text, found, errors = render(page, draft, gen.Facts(HERE, tenant_of(page)))
            problems += errors
            done[page] = (text, found)
    if problems:
        print("\n".join(problems))
        return 1
    for page, (text, found) in done.items():
        file = HERE / page
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        claims[page] = found
    write_claims(claims)
    print(f"{len(done)} pages registered")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
