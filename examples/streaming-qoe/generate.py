#!/usr/bin/env python3
"""Render the reference pages of the Playgauge documentation from the fact table.

    python generate.py            write the pages
    python generate.py --check    exit 1 and name the pages that differ

The fact table is every YAML file in facts/.  A text in it, or in a draft given to
register.py, refers to a fact as [[dotted.id]]; [[dotted.id:n]] gives the bare number
and [[dotted.id:adj]] the form used before a noun (30-minute).  [[=text]] marks a number
that belongs to an example and to no fact; [[=text|expression]] has its arithmetic checked.
"""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent

CONTENT_TYPES = {
    "live": "Live events",
    "linear": "Linear channels",
    "vod": "On demand",
    "short": "Short form",
}
GROUPS = {
    "startup": "Startup",
    "continuity": "Continuity",
    "picture": "Picture quality",
    "audience": "Audience",
    "ads": "Advertising",
    "delivery": "Delivery",
    "composite": "Composite",
}
MARK = re.compile(r"\[\[([^\[\]]+)\]\]")
CODE = re.compile(r"PG-\d{4}")


class FactError(ValueError):
    """A reference to a fact that does not exist, or a table that contradicts itself."""


@functools.lru_cache(maxsize=256)
def _parsed(path: Path, _state: tuple[int, int]):
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)


def read_yaml(path: Path):
    """A YAML file's content, read again only when the file changed; nothing if it does not exist."""
    if not path.exists():
        return None
    stat = path.stat()
    return _parsed(path, (stat.st_mtime_ns, stat.st_size))


def _flatten(prefix: str, node, out: dict[str, str]) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            _flatten(f"{prefix}.{key}" if prefix else str(key), value, out)
    elif isinstance(node, (str, int, float)) and not isinstance(node, bool):
        out[prefix] = str(node)
    else:
        raise FactError(f"fact {prefix}: a fact is a string or a number, not {node!r}")


def _adjective(value: str) -> str:
    number, _, unit = value.partition(" ")
    words = unit.split(" ")
    head = words[0]
    if head.endswith("s") and head != "s":
        head = head[:-1]
    return f"{number}-{head}"


class Facts:
    """The fact table: dotted ids to the strings that pages must show."""

    def __init__(self, root: Path = HERE, tenant: str | None = None):
        self.root = Path(root)
        self.values: dict[str, str] = {}
        folder = self.root / "facts"

        def read(name: str):
            return read_yaml(folder / name)

        _flatten("", read("values.yaml") or {}, self.values)
        self.metrics = self._many(folder, "metrics")
        self.dimensions = self._many(folder, "dimensions")
        self.alerts = self._many(folder, "alerts")
        self.errors = self._many(folder, "errors")
        self.endpoints = self._many(folder, "api")
        self.releases = [str(r) for r in (read("releases.yaml") or {}).get("releases", [])]
        self.identifiers = set((read("identifiers.yaml") or {}).get("identifiers", []))
        self.tenants = read("tenants.yaml") or {}
        for prefix, items in (
            ("m", self.metrics),
            ("d", self.dimensions),
            ("a", self.alerts),
            ("e", self.errors),
            ("api", self.endpoints),
        ):
            seen = set()
            for item in items:
                if item["id"] in seen:
                    raise FactError(f"{prefix}.{item['id']} is given twice")
                seen.add(item["id"])
                own = dict(item.get("vals") or {})
                for key in ("good", "poor"):
                    if key in item:
                        own[key] = item[key]
                for key in ("threshold", "window", "min_sample", "cooldown", "cost"):
                    if key in item:
                        own[key] = item[key]
                _flatten(f"{prefix}.{item['id']}", own, self.values)
        self.shared = dict(self.values)
        if tenant is not None:
            for key, value in self.tenants[tenant]["overrides"].items():
                if key not in self.values:
                    raise FactError(f"{tenant} overrides an unknown fact: {key}")
                self.values[key] = str(value)
            for key, value in (self.tenants[tenant].get("own") or {}).items():
                self.values[f"own.{key}"] = str(value)

    @staticmethod
    def _many(folder: Path, stem: str) -> list[dict]:
        items: list[dict] = []
        for path in sorted(folder.glob(f"{stem}*.yaml")):
            items.extend(read_yaml(path) or [])
        return items

    def literal(self, reference: str, base: str = "") -> str:
        """The text that a claim or a marker must show."""
        if reference.startswith("="):
            return reference[1:].split("|", 1)[0]
        if reference.startswith("@"):
            if reference[1:] not in self.releases:
                raise FactError(f"no such release: {reference[1:]}")
            return reference[1:]
        table = self.values
        if reference.startswith("shared:"):
            reference, table = reference[len("shared:") :], self.shared
        name, _, form = reference.partition(":")
        if name.startswith("."):
            name = base + name
        if name not in table:
            raise FactError(f"no such fact: {name}")
        value = table[name]
        if form == "":
            return value
        if form == "n":
            found = re.search(r"\d[\d,]*(?:\.\d+)?", value)
            if not found:
                raise FactError(f"fact {name} has no number: {value}")
            return found.group(0)
        if form == "adj":
            return _adjective(value)
        raise FactError(f"unknown form of a fact: {reference}")

    def absolute(self, reference: str, base: str) -> str:
        return base + reference if reference.startswith(".") else reference


def evaluate(expression: str) -> float:
    """Evaluate the arithmetic of a worked example: numbers and + - * / ( ) only."""
    if not re.fullmatch(r"[\d.+\-*/() ]+", expression):
        raise FactError(f"not plain arithmetic: {expression}")
    return float(eval(expression, {"__builtins__": {}}, {}))  # only digits and operators


def expand(text: str, facts: Facts, base: str = "") -> str:
    return MARK.sub(lambda m: facts.literal(m.group(1), base), text)


# A number that a reader would take for a fact: not part of an identifier (p95, H.264, PG-2104).
NUMBER = re.compile(r"(?<![\w])\d+(?:[.,]\d+)*")
_IDENT = re.compile(r"[A-Za-z_][\w]*[.\-/]$|[A-Za-z_][\w]*[.\-/][\w.\-/]*[.\-/]$")
_LINK = re.compile(r"\]\([^)]*\)")
_LIST = re.compile(r"^[ \t]*\d+\.(?= )", re.M)


def numbers(text: str) -> list[tuple[int, str]]:
    """Positions and texts of the numbers in a page, in order."""
    blank = lambda m: " " * len(m.group(0))  # noqa: E731
    text = _LINK.sub(lambda m: "]" + " " * (len(m.group(0)) - 1), text)
    text = _LIST.sub(blank, text)
    found = []
    for match in NUMBER.finditer(text):
        before = text[max(0, match.start() - 24) : match.start()]
        if _IDENT.search(before):
            continue
        found.append((match.start(), match.group(0)))
    return found


def unmarked(text: str) -> list[str]:
    """Numbers in a marked-up text that no marker covers."""
    hidden = MARK.sub(lambda m: "\x00" * len(m.group(0)), text)
    return [hidden[max(0, at - 30) : at + 30].replace("\x00", "_").replace("\n", " ") for at, _ in numbers(hidden)]


def _texts(node):
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)


PROSE_FIELDS = (
    "short",
    "definition",
    "excludes",
    "neighbours",
    "example",
    "notes",
    "gotchas",
    "fires",
    "ignores",
    "steps",
    "meaning",
    "causes",
    "fix",
    "purpose",
    "response",
    "limits",
    "sourcing",
    "use",
    "params",
)


def check_markers(facts: Facts) -> list[str]:
    """Every number in the prose of the fact table is marked as a fact or as an example."""
    errors = []
    for prefix, items in (
        ("m", facts.metrics),
        ("d", facts.dimensions),
        ("a", facts.alerts),
        ("e", facts.errors),
        ("api", facts.endpoints),
    ):
        for item in items:
            for field in PROSE_FIELDS:
                for text in _texts(item.get(field, "")):
                    for context in unmarked(text):
                        errors.append(f"{prefix}.{item['id']}.{field}: unmarked number near '{context.strip()}'")
                    for mark in MARK.findall(text):
                        if mark.startswith("=") and "|" in mark:
                            problem = check_sum(mark)
                            if problem:
                                errors.append(f"{prefix}.{item['id']}.{field}: {problem}")
    return errors


def check_sum(mark: str) -> str | None:
    """Whether the arithmetic behind a worked number gives the number shown."""
    shown, expression = mark[1:].split("|", 1)
    found = re.search(r"\d[\d,]*(?:\.\d+)?", shown)
    if not found:
        return f"no number in {shown}"
    digits = found.group(0).replace(",", "")
    places = len(digits.split(".")[1]) if "." in digits else 0
    try:
        value = evaluate(expression)
    except (FactError, SyntaxError, ZeroDivisionError) as error:
        return str(error)
    if abs(value - float(digits)) > 0.5 * 10**-places + 1e-9:
        return f"{expression} is {value:.4f}, the text says {shown}"
    return None


def slug(identifier: str) -> str:
    return identifier.replace("_", "-")


def _bullets(items: list[str]) -> str:
    return "\n".join(f"- {' '.join(i.split())}" for i in items)


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(p.split()) for p in text.strip().split("\n\n"))


def metric_page(metric: dict, facts: Facts) -> str:
    base = f"m.{metric['id']}"
    names = {m["id"]: m["name"] for m in facts.metrics}
    out = [
        f"# {metric['name']}",
        "",
        _paragraphs(metric["short"]),
        "",
        "| Property | Value |",
        "| --- | --- |",
        f"| Identifier | `{metric['id']}` |",
        f"| Family | {GROUPS[metric['group']]} |",
        f"| Unit | {metric['unit']} |",
        f"| Better when | {metric['better']} |",
        f"| Aggregation | {metric['aggregation']} |",
    ]
    if metric.get("min_sample"):
        out.append(f"| Smallest sample shown | {metric['min_sample']} |")
    if metric.get("since"):
        out.append(f"| Current definition since | release {metric['since']} |")
    out += [
        "",
        "## Definition",
        "",
        _paragraphs(metric["definition"]),
        "",
        "## Formula",
        "",
        "```text",
        metric["formula"].strip(),
        "```",
        "",
    ]
    out += ["## What it excludes", "", _bullets(metric["excludes"]), ""]
    if metric.get("good"):
        out += ["## Good range", "", "| Content type | Good | Investigate |", "| --- | --- | --- |"]
        words = ("below", "above") if metric["better"] == "lower" else ("above", "below")
        for key, title in CONTENT_TYPES.items():
            if key in metric["good"]:
                out.append(f"| {title} | {words[0]} {metric['good'][key]} | {words[1]} {metric['poor'][key]} |")
        out.append("")
    else:
        out += ["## Good range", "", _paragraphs(metric["range_note"]), ""]
    out += ["## How it differs from its neighbours", ""]
    for other, text in metric["neighbours"].items():
        if other not in names:
            raise FactError(f"{base}: unknown neighbour {other}")
        out.append(f"- [{names[other]}]({slug(other)}.md): {' '.join(text.split())}")
    out += ["", "## Worked example", "", _paragraphs(metric["example"]), ""]
    if metric.get("notes"):
        out += ["## Reporting notes", "", _paragraphs(metric["notes"]), ""]
    return expand("\n".join(out), facts, base)


def dimension_page(dim: dict, facts: Facts) -> str:
    base = f"d.{dim['id']}"
    names = {d["id"]: d["name"] for d in facts.dimensions}
    out = [
        f"# {dim['name']}",
        "",
        _paragraphs(dim["short"]),
        "",
        "| Property | Value |",
        "| --- | --- |",
        f"| Identifier | `{dim['id']}` |",
        f"| Type | {dim['type']} |",
        f"| Source | {dim['source']} |",
        f"| Distinct values kept per day | {dim['vals']['cardinality']} |",
        f"| Value when unknown | `{dim['fallback']}` |",
        f"| Usable in alerts | {dim['alerts']} |",
        "",
        "## How the value is obtained",
        "",
        _paragraphs(dim["sourcing"]),
        "",
    ]
    if dim.get("values"):
        out += ["## Values", "", "| Value | Meaning |", "| --- | --- |"]
        out += [f"| `{k}` | {' '.join(str(v).split())} |" for k, v in dim["values"].items()]
        out.append("")
    out += [
        "## Using it",
        "",
        _paragraphs(dim["use"]),
        "",
        "## Things that surprise people",
        "",
        _bullets(dim["gotchas"]),
        "",
    ]
    if dim.get("neighbours"):
        out += ["## Related dimensions", ""]
        for other, text in dim["neighbours"].items():
            if other not in names:
                raise FactError(f"{base}: unknown neighbour {other}")
            out.append(f"- [{names[other]}]({slug(other)}.md): {' '.join(text.split())}")
        out.append("")
    return expand("\n".join(out), facts, base)


def alert_page(alert: dict, facts: Facts) -> str:
    base = f"a.{alert['id']}"
    names = {m["id"]: m["name"] for m in facts.metrics}
    if alert["metric"] not in names:
        raise FactError(f"{base}: unknown metric {alert['metric']}")
    out = [
        f"# {alert['name']}",
        "",
        _paragraphs(alert["short"]),
        "",
        "| Setting | Default |",
        "| --- | --- |",
        f"| Template | `{alert['id']}` |",
        f"| Metric | [{names[alert['metric']]}](../metrics/{slug(alert['metric'])}.md) |",
        f"| Threshold | {alert['threshold']} |",
        f"| Evaluation window | {alert['window']} |",
        f"| Smallest sample | {alert['min_sample']} |",
        f"| Cool-down | {alert['cooldown']} |",
        f"| Severity | {alert['severity']} |",
        "",
        "## When it fires",
        "",
        _paragraphs(alert["fires"]),
        "",
        "## What it ignores",
        "",
        _bullets(alert["ignores"]),
        "",
        "## First steps",
        "",
    ]
    out += [f"{i}. {' '.join(s.split())}" for i, s in enumerate(alert["steps"], 1)]
    out.append("")
    if alert.get("notes"):
        out += ["## Tuning", "", _paragraphs(alert["notes"]), ""]
    return expand("\n".join(out), facts, base)


def error_page(error: dict, facts: Facts) -> str:
    base = f"e.{error['id']}"
    names = {m["id"]: m["name"] for m in facts.metrics}
    counted = error["counts_as"]
    if counted in names:
        counted = f"[{names[counted]}](../../metrics/{slug(counted)}.md)"
    out = [
        f"# {error['id']}: {error['title']}",
        "",
        _paragraphs(error["short"]),
        "",
        "| Property | Value |",
        "| --- | --- |",
        f"| Code | `{error['id']}` |",
        f"| Phase | {error['phase']} |",
        f"| Fatal | {error['fatal']} |",
        f"| Counted in | {counted} |",
        f"| SDK retries before reporting | {error['vals']['retries']} |",
        "",
        "## What it means",
        "",
        _paragraphs(error["meaning"]),
        "",
        "## Usual causes",
        "",
        _bullets(error["causes"]),
        "",
        "## What to do",
        "",
        _paragraphs(error["fix"]),
        "",
    ]
    return expand("\n".join(out), facts, base)


def endpoint_page(endpoint: dict, facts: Facts) -> str:
    base = f"api.{endpoint['id']}"
    out = [
        f"# {endpoint['title']}",
        "",
        _paragraphs(endpoint["purpose"]),
        "",
        "```http",
        f"{endpoint['method']} {endpoint['path']}",
        "```",
        "",
        "| Property | Value |",
        "| --- | --- |",
        f"| Required scope | `{endpoint['scope']}` |",
        f"| Cost | {endpoint['cost']} |",
    ]
    for name, value in (endpoint.get("facts") or {}).items():
        out.append(f"| {name} | {value} |")
    out += ["", "## Parameters", "", "| Name | Type | Required | Meaning |", "| --- | --- | --- | --- |"]
    for name, (kind, required, meaning) in endpoint["params"].items():
        out.append(f"| `{name}` | {kind} | {required} | {' '.join(meaning.split())} |")
    out += ["", "## Response", "", _paragraphs(endpoint["response"]), ""]
    if endpoint.get("sample"):
        out += ["```json", endpoint["sample"].strip(), "```", ""]
    out += ["## Limits and behaviour", "", _bullets(endpoint["limits"]), ""]
    if endpoint.get("errors"):
        out += ["## Errors", "", "| Status | Reason |", "| --- | --- |"]
        out += [f"| {k} | {v} |" for k, v in endpoint["errors"].items()]
        out.append("")
    return expand("\n".join(out), facts, base)


def metric_index(facts: Facts) -> str:
    out = [
        "# Metric dictionary",
        "",
        "Every metric that Playgauge reports, by family. Each page gives the definition, the "
        "formula, what is left out and how the metric differs from those beside it.",
        "",
    ]
    for group, title in GROUPS.items():
        members = [m for m in facts.metrics if m["group"] == group]
        if members:
            out += [f"## {title}", ""]
            out += [f"- [{m['name']}]({slug(m['id'])}.md) (`{m['id']}`)" for m in members]
            out.append("")
    return "\n".join(out)


def error_index(facts: Facts) -> str:
    out = [
        "# Error codes",
        "",
        "Codes that the player SDKs report. The first digit gives the phase of playback in which the error was met.",
        "",
        "| Code | Title | Fatal |",
        "| --- | --- | --- |",
    ]
    out += [
        f"| [{e['id']}]({e['id'].lower()}.md) | {e['title']} | {e['fatal']} |"
        for e in sorted(facts.errors, key=lambda e: e["id"])
    ]
    out.append("")
    return "\n".join(out)


def pages(root: Path = HERE) -> dict[str, str]:
    """Every generated page, by its path under docs/."""
    facts = Facts(root)
    out = {}
    for metric in facts.metrics:
        out[f"metrics/{slug(metric['id'])}.md"] = metric_page(metric, facts)
    for dim in facts.dimensions:
        out[f"dimensions/{slug(dim['id'])}.md"] = dimension_page(dim, facts)
    for alert in facts.alerts:
        out[f"alerts/{slug(alert['id'])}.md"] = alert_page(alert, facts)
    for error in facts.errors:
        out[f"troubleshooting/errors/{error['id'].lower()}.md"] = error_page(error, facts)
    for endpoint in facts.endpoints:
        out[f"api/{slug(endpoint['id'])}.md"] = endpoint_page(endpoint, facts)
    if facts.metrics:
        out["metrics/index.md"] = metric_index(facts)
    if facts.errors:
        out["troubleshooting/errors/index.md"] = error_index(facts)
    return {path: text.rstrip("\n") + "\n" for path, text in out.items()}


def differing(root: Path = HERE) -> list[str]:
    """The generated pages whose file is missing or differs."""
    wrong = []
    for path, text in sorted(pages(root).items()):
        file = Path(root) / "docs" / path
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            wrong.append(path)
    return wrong


def main(argv: list[str]) -> int:
    problems = check_markers(Facts(HERE))
    if problems:
        print("\n".join(problems))
        return 1
    if "--check" in argv:
        wrong = differing(HERE)
        for path in wrong:
            print(f"differs from the fact table: docs/{path}")
        return 1 if wrong else 0
    for path, text in pages(HERE).items():
        file = HERE / "docs" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
