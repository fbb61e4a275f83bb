#!/usr/bin/env python3
"""Check the example corpus and print its table of question kinds.

    python check.py             all checks, with the totals the corpus promises
    python check.py --growing   all checks but the totals

Exits 1 with the list of errors.  Needs the standard library and PyYAML only.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent


def _load(name: str):
    spec = importlib.util.spec_from_file_location(f"streaming_qoe_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gen = _load("generate")

SHARES = {
    "direct": 0.20,
    "paraphrase": 0.20,
    "vocabulary-gap": 0.20,
    "detail": 0.15,
    "global": 0.10,
    "follow-up": 0.10,
    "unanswerable": 0.05,
}
MIN_PAGES, MIN_PROSE, MIN_QUESTIONS, MIN_TENANT_PAGES = 150, 60, 300, 12
PROSE_WORDS = (300, 900)
HEADING = re.compile(r"^(#{1,4}) (.+?)\s*$", re.M)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SPELLED = re.compile(
    r"\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|"
    r"fifty|sixty|ninety|hundred)[ -](milliseconds?|seconds?|minutes?|hours?|days?|weeks?|months?|"
    r"percent|per cent|viewers|plays|attempts|requests|segments|frames)\b",
    re.I,
)
TICKED = re.compile(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+)+)`")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
ENDPOINT = re.compile(r"`(?:(?:GET|POST|PUT|PATCH|DELETE) )?(/v\d[^`\s?]*)")
STOP = {
    "a",
    "an",
    "and",
    "are",
    "as",
    "at",
    "be",
    "but",
    "by",
    "can",
    "did",
    "do",
    "does",
    "for",
    "from",
    "get",
    "has",
    "have",
    "how",
    "i",
    "if",
    "in",
    "is",
    "it",
    "its",
    "me",
    "my",
    "no",
    "not",
    "of",
    "on",
    "one",
    "or",
    "our",
    "s",
    "so",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "they",
    "this",
    "to",
    "us",
    "was",
    "we",
    "what",
    "when",
    "where",
    "which",
    "who",
    "why",
    "will",
    "with",
    "would",
    "you",
    "your",
    "t",
    "re",
    "m",
}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def docs_pages(root: Path) -> dict[str, str]:
    docs = root / "docs"
    return {p.relative_to(docs).as_posix(): read(p) for p in sorted(docs.rglob("*.md"))}


def tenant_pages(root: Path) -> dict[str, str]:
    """Private pages, by path from the corpus's root: tenants/<tenant>/<page>."""
    return {p.relative_to(root).as_posix(): read(p) for p in sorted((root / "tenants").rglob("*.md"))}


def claims_of(root: Path) -> dict[str, list[str]]:
    return gen.read_yaml(root / "facts" / "claims.yaml") or {}


def prose_pages(root: Path) -> list[str]:
    return [p[len("docs/") :] for p in claims_of(root) if p.startswith("docs/")]


# --- pages and facts ---------------------------------------------------------------------------


def check_generated(root: Path) -> list[str]:
    """Generated pages follow from the fact table, whose own prose states no unmarked number."""
    facts = gen.Facts(root)
    return gen.check_markers(facts) + [
        f"docs/{page}: differs from what the fact table gives" for page in gen.differing(root)
    ]


def match_claims(page: str, text: str, claims: list[str], facts):
    """Walk a page's numbers beside its claims: spans of the claims, and every disagreement."""
    spans, errors, skip = [], [], 0
    queue = list(claims)
    for at, number in gen.numbers(text):
        if at < skip:
            continue
        line = text.count("\n", 0, at) + 1
        if not queue:
            errors.append(f"{page}:{line}: '{number}' is stated but no fact is registered for it")
            break
        claim = queue.pop(0)
        try:
            literal = facts.literal(claim)
        except gen.FactError as error:
            errors.append(f"{page}:{line}: {error}")
            break
        offset = gen.numbers(literal)[0][0] if gen.numbers(literal) else 0
        start, end = at - offset, at - offset + len(literal)
        if text[start:end] != literal or text[end : end + 1].isdigit():
            shown = text[max(0, at - offset) : at + len(literal) + 12].split("\n", maxsplit=1)[0]
            errors.append(f"{page}:{line}: says '{shown}' where {claim.lstrip('=')} gives '{literal}'")
            break
        if claim.startswith("=") and "|" in claim and (problem := gen.check_sum(claim)):
            errors.append(f"{page}:{line}: {problem}")
        spans.append((start, end, claim))
        skip = end
    else:
        if queue:
            errors.append(f"{page}: registered but not stated: {', '.join(queue[:3])}")
    return spans, errors


def check_numbers(root: Path) -> list[str]:
    """Every number in a prose page is the one its registered fact gives, in the same order."""
    errors = []
    claims = claims_of(root)
    generated = set(gen.pages(root))
    shared = gen.Facts(root)
    by_tenant = {t: gen.Facts(root, t) for t in shared.tenants}
    everything = {f"docs/{p}": t for p, t in docs_pages(root).items()} | tenant_pages(root)
    for page, text in everything.items():
        for match in SPELLED.finditer(FENCE.sub("", text)):
            errors.append(f"{page}: a quantity in words, which nothing checks: '{match.group(0)}'")
        if page.startswith("docs/") and page[len("docs/") :] in generated:
            if page in claims:
                errors.append(f"{page}: both generated and registered as prose")
            continue
        if page not in claims:
            errors.append(f"{page}: neither generated nor registered in facts/claims.yaml")
            continue
        tenant = page.split("/")[1] if page.startswith("tenants/") else None
        if tenant is not None and tenant not in by_tenant:
            errors.append(f"{page}: no such tenant in facts/tenants.yaml")
            continue
        facts = by_tenant[tenant] if tenant else shared
        errors += match_claims(page, text, claims[page] or [], facts)[1]
    errors += [f"facts/claims.yaml: no such page: {p}" for p in claims if p not in everything]
    return errors


def slugs(text: str) -> set[str]:
    found = set()
    for _, title in HEADING.findall(FENCE.sub("", text)):
        found.add(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-"))
    return found


def headings(text: str) -> set[str]:
    return {title for _, title in HEADING.findall(FENCE.sub("", text))}


def section(text: str, heading: str) -> str:
    """The text under a heading, up to the next one of its level or above."""
    plain = FENCE.sub(lambda m: re.sub(r"^#", " ", m.group(0), flags=re.M), text)
    marks = list(HEADING.finditer(plain))
    for i, mark in enumerate(marks):
        if mark.group(2) == heading:
            level = len(mark.group(1))
            for later in marks[i + 1 :]:
                if len(later.group(1)) <= level or level == 1:
                    return text[mark.start() : later.start()]
            return text[mark.start() :]
    return ""


def check_links(root: Path) -> list[str]:
    """Links between pages resolve, anchors included."""
    errors = []
    everything = {f"docs/{p}": t for p, t in docs_pages(root).items()} | tenant_pages(root)
    anchors = {p: slugs(t) for p, t in everything.items()}
    for page, text in everything.items():
        for target in LINK.findall(FENCE.sub("", text)):
            if re.match(r"[a-z]+:", target):
                errors.append(f"{page}: a link out of the documentation: {target}")
                continue
            path, _, anchor = target.partition("#")
            parts = page.split("/")[:-1] if path else page.split("/")
            for step in path.split("/") if path else []:
                if step == "..":
                    parts = parts[:-1]
                elif step != ".":
                    parts = [*parts, step]
            goal = "/".join(parts)
            if goal not in everything:
                errors.append(f"{page}: broken link {target}")
            elif anchor and anchor not in anchors[goal]:
                errors.append(f"{page}: no heading for {target}")
            elif page.startswith("docs/") and goal.startswith("tenants/"):
                errors.append(f"{page}: a shared page links a tenant's page: {target}")
            elif goal.startswith("tenants/") and goal.split("/")[1] != page.split("/")[1]:
                errors.append(f"{page}: links another tenant's page: {target}")
    return errors


def check_shape(root: Path) -> list[str]:
    """Each page has one title, which no other page has, and no front matter or leftovers."""
    errors, titles = [], {}
    everything = {f"docs/{p}": t for p, t in docs_pages(root).items()} | tenant_pages(root)
    for page, text in everything.items():
        plain = FENCE.sub("", text)
        ones = re.findall(r"^# (.+)$", plain, re.M)
        if len(ones) != 1 or not text.startswith("# "):
            errors.append(f"{page}: needs exactly one title, on its first line")
            continue
        space = page.split("/")[1] if page.startswith("tenants/") else "shared"
        if titles.setdefault((space, ones[0]), page) != page:
            errors.append(f"{page}: same title as {titles[(space, ones[0])]}")
        repeated = [h for h, n in Counter(h for _, h in HEADING.findall(plain)).items() if n > 1]
        if repeated:
            errors.append(f"{page}: heading given twice: {repeated[0]}")
        if doubled := re.search(r"\b([a-z]{2,}) \1\b", plain):
            errors.append(f"{page}: a doubled word: {doubled.group(0)}")
        if "[[" in text or "\x00" in text:
            errors.append(f"{page}: an unexpanded marker")
    for page in prose_pages(root):
        file = root / "docs" / page
        if file.exists():
            words = len(re.findall(r"\S+", read(file)))
            if not PROSE_WORDS[0] <= words <= PROSE_WORDS[1]:
                errors.append(f"docs/{page}: {words} words, wanted {PROSE_WORDS[0]} to {PROSE_WORDS[1]}")
    return errors


def check_names(root: Path) -> list[str]:
    """Names in the pages are known: identifiers, error codes, endpoints, releases."""
    facts = gen.Facts(root)
    known = (
        {m["id"] for m in facts.metrics}
        | {d["id"] for d in facts.dimensions}
        | {a["id"] for a in facts.alerts}
        | facts.identifiers
    )
    for dim in facts.dimensions:
        known |= {str(v) for v in (dim.get("values") or {})} | {dim["fallback"]}
    for endpoint in facts.endpoints:
        known |= set(endpoint["params"])
    codes = {e["id"] for e in facts.errors} | {v for v in facts.values.values() if gen.CODE.fullmatch(v)}
    paths = {re.sub(r"\{[^}]*\}", "{}", e["path"]) for e in facts.endpoints}
    errors = []
    everything = {f"docs/{p}": t for p, t in docs_pages(root).items()} | tenant_pages(root)
    for page, text in everything.items():
        for name in sorted(set(TICKED.findall(FENCE.sub("", text))) - known):
            errors.append(f"{page}: unknown identifier `{name}`")
        for code in sorted(set(gen.CODE.findall(text)) - codes - {c[:4] + "000" for c in codes}):
            errors.append(f"{page}: unknown error code {code}")
        for path in ENDPOINT.findall(text):
            if re.sub(r"\{[^}]*\}", "{}", path) not in paths:
                errors.append(f"{page}: unknown endpoint {path}")
        for release in re.findall(r"\brelease (\d+(?:\.\d+)?)\b", text):
            if release not in facts.releases:
                errors.append(f"{page}: unknown release {release}")
    return errors


def check_definitions(root: Path) -> list[str]:
    """A metric or dimension is defined on its own page only; release notes say since when."""
    facts = gen.Facts(root)
    homes = {m["name"]: f"metrics/{gen.slug(m['id'])}.md" for m in facts.metrics}
    homes |= {d["name"]: f"dimensions/{gen.slug(d['id'])}.md" for d in facts.dimensions}
    errors = []
    texts = docs_pages(root)
    for name, home in homes.items():
        pattern = re.compile(
            rf"(?:^|[.:;!?] |\*\*)(?:The )?{re.escape(name)}\*{{0,2}} (?:is|means) (?:defined|calculated|computed|the "
            r"(?:share|number|count|ratio|sum|median|mean|percentage|total))",
            re.M,
        )
        for page, text in texts.items():
            if page != home and not page.startswith("releases/") and pattern.search(text):
                errors.append(f"docs/{page}: defines {name}, whose definition is {home}")
    for metric in facts.metrics:
        note = f"releases/{str(metric.get('since')).replace('.', '-')}.md"
        if f"(../metrics/{gen.slug(metric['id'])}.md)" not in texts.get(note, ""):
            errors.append(
                f"docs/{note}: does not link {metric['name']}, whose definition holds "
                f"since release {metric.get('since')}"
            )
    for release in facts.releases:
        if f"({release.replace('.', '-')}.md)" not in texts.get("releases/index.md", ""):
            errors.append(f"docs/releases/index.md: does not link release {release}")
    return errors


def check_tenants(root: Path, totals: bool = True) -> list[str]:
    """Each tenant's pages contradict shared values, and show its own value, not the shared one."""
    shared = gen.Facts(root)
    claims, errors = claims_of(root), []
    pages = tenant_pages(root)
    for tenant, table in shared.tenants.items():
        mine = [p for p in pages if p.split("/")[1] == tenant]
        if totals and len(mine) < MIN_TENANT_PAGES:
            errors.append(f"{tenant}: {len(mine)} pages, wanted {MIN_TENANT_PAGES}")
        for key, value in table["overrides"].items():
            if key not in shared.values:
                errors.append(f"{tenant}: overrides an unknown fact {key}")
            elif str(value) == shared.values[key]:
                errors.append(f"{tenant}: {key} is the same as the shared value")
            if not any(c.split(":")[0] == key for p in mine for c in claims.get(p) or []):
                errors.append(f"{tenant}: no page states its value of {key}")
        for page in mine:
            if not any(c.split(":")[0] in table["overrides"] for c in claims.get(page) or []):
                errors.append(f"{page}: contradicts no shared value")
    return errors


# --- questions ---------------------------------------------------------------------------------


def questions_of(root: Path, name: str = "questions.jsonl") -> list[dict]:
    path = root / name
    if not path.exists():
        return []
    return [json.loads(line) for line in read(path).splitlines() if line.strip()]


def _digits(text: str) -> set[str]:
    text = gen._LIST.sub("", text)
    return {n for _, n in gen.numbers(text)} | set(gen.CODE.findall(text))


def check_questions(root: Path) -> list[str]:
    """Each question has its fields, gold passages that exist, and an answer that they support."""
    pages, errors, seen, asked = docs_pages(root), [], set(), {}
    for q in questions_of(root):
        where = f"questions.jsonl {q.get('id')}"
        missing = {
            "id",
            "kind",
            "split",
            "question",
            "history",
            "gold_pages",
            "gold_sections",
            "reference_answer",
            "noisy",
        } - set(q)
        if missing:
            errors.append(f"{where}: lacks {', '.join(sorted(missing))}")
            continue
        if q["id"] in seen:
            errors.append(f"{where}: id given twice")
        seen.add(q["id"])
        key = (q["question"].lower(), json.dumps(q["history"]))
        if asked.setdefault(key, q["id"]) != q["id"]:
            errors.append(f"{where}: asks the same as {asked[key]}")
        if q["kind"] not in SHARES:
            errors.append(f"{where}: unknown kind {q['kind']}")
        if q["split"] not in ("dev", "test"):
            errors.append(f"{where}: unknown split {q['split']}")
        if (q["kind"] == "follow-up") != bool(q["history"]):
            errors.append(f"{where}: follow-ups, and only they, have a history")
        if len(q["history"]) > 2:
            errors.append(f"{where}: more than two turns of history")
        if (q["kind"] == "unanswerable") != (not q["gold_pages"]):
            errors.append(f"{where}: unanswerable questions, and only they, have no gold page")
        if not q["reference_answer"].strip():
            errors.append(f"{where}: no reference answer")
        if {s["page"] for s in q["gold_sections"]} != set(q["gold_pages"]):
            errors.append(f"{where}: gold sections and gold pages name different pages")
        passages = ""
        for gold in q["gold_sections"]:
            if gold["page"] not in pages:
                errors.append(f"{where}: no such page {gold['page']}")
            elif gold["heading"] not in headings(pages[gold["page"]]):
                errors.append(f"{where}: {gold['page']} has no heading '{gold['heading']}'")
            else:
                passages += (
                    pages[gold["page"]].split("\n", 1)[0] + "\n" + section(pages[gold["page"]], gold["heading"]) + "\n"
                )
        if q["gold_pages"] and q["kind"] != "global":
            # a follow-up may repeat what its history says; a question, what it itself says
            given = q["question"] + " " + " ".join(t["question"] + t["answer"] for t in q["history"])
            for number in sorted(_digits(q["reference_answer"]) - _digits(passages) - _digits(given)):
                errors.append(f"{where}: the answer's {number} is not in the gold passages")
        if q["kind"] == "global":
            if not q.get("gold_list"):
                errors.append(f"{where}: a global question needs a gold_list")
            if len(q["gold_pages"]) < 5:
                errors.append(f"{where}: a global question needs five gold pages")
            whole = " ".join(" ".join(pages.get(p, "").split()) for p in q["gold_pages"])
            for item in q.get("gold_list") or []:
                if item not in whole:
                    errors.append(f"{where}: '{item}' is in none of the gold pages")
        elif "gold_list" in q:
            errors.append(f"{where}: only global questions have a gold_list")
    return errors


def check_split(root: Path) -> list[str]:
    """All questions on a page, global ones apart, are in one split."""
    of_page, errors = {}, []
    for q in questions_of(root):
        if q["kind"] == "global":
            continue
        for page in q["gold_pages"]:
            first = of_page.setdefault(page, (q["split"], q["id"]))
            if first[0] != q["split"]:
                errors.append(f"questions.jsonl {q['id']}: {page} is in {first[0]} by {first[1]}, here in {q['split']}")
    return errors


def words(text: str) -> list[str]:
    found = []
    for word in re.findall(r"[a-z0-9]+", text.lower().replace("'", "")):
        if word in STOP:
            continue
        ending = next((e for e in ("ing", "ed", "es", "s") if word.endswith(e) and len(word) >= len(e) + 4), "")
        found.append(word.removesuffix(ending))
    return found


def overlap(question: dict, pages: dict[str, str]) -> float | None:
    """The share of the question's content words that its gold passages contain."""
    asked = set(words(question["question"]))
    if not asked or not question["gold_sections"]:
        return None
    gold = set()
    for g in question["gold_sections"]:
        text = pages.get(g["page"], "")
        gold |= set(words(section(text, g["heading"]))) | set(words(text.split("\n", 1)[0]))
    return len(asked & gold) / len(asked)


def lexical_ranking(pages: dict[str, str]):
    """BM25 over the pages' sections, a page scoring as its best section: a floor to compare with."""
    units = []
    for page, text in pages.items():
        title = text.split("\n", 1)[0]
        for part in re.split(r"^(?=##+ )", text, flags=re.M):
            units.append((page, Counter(words(title) + words(part))))
    df = Counter()
    postings = defaultdict(list)
    for i, (_, counts) in enumerate(units):
        df.update(counts.keys())
        for word, n in counts.items():
            postings[word].append((i, n))
    lengths = [sum(c.values()) for _, c in units]
    mean = sum(lengths) / max(1, len(lengths))

    def rank(question: str) -> list[str]:
        scores = defaultdict(float)
        for word in set(words(question)):
            idf = math.log(1 + (len(units) - df[word] + 0.5) / (df[word] + 0.5))
            for i, n in postings[word]:
                scores[i] += idf * n * 2.2 / (n + 1.2 * (0.25 + 0.75 * lengths[i] / mean))
        best = defaultdict(float)
        for i, score in scores.items():
            best[units[i][0]] = max(best[units[i][0]], score)
        return sorted(best, key=lambda p: (-best[p], p))

    return rank


def figures(root: Path) -> list[dict]:
    """Per kind: counts, share, noise, word overlap, and recall@5 and nDCG@10 of plain BM25."""
    pages, questions = docs_pages(root), questions_of(root)
    rank = lexical_ranking(pages)
    rows = []
    for kind in [*SHARES, "all"]:
        mine = [q for q in questions if kind in (q["kind"], "all")]
        shared = [o for q in mine if (o := overlap(q, pages)) is not None]
        recalls, gains = [], []
        for q in mine:
            gold = set(q["gold_pages"])
            if not gold:
                continue
            order = rank(q["question"])
            recalls.append(len(gold & set(order[:5])) / min(5, len(gold)))
            ideal = sum(1 / math.log2(i + 2) for i in range(min(10, len(gold))))
            gains.append(sum(1 / math.log2(i + 2) for i, p in enumerate(order[:10]) if p in gold) / ideal)
        mean = lambda v: sum(v) / len(v) if v else None  # noqa: E731
        rows.append(
            {
                "kind": kind,
                "n": len(mine),
                "share": len(mine) / len(questions) if questions else 0.0,
                "dev": sum(q["split"] == "dev" for q in mine),
                "test": sum(q["split"] == "test" for q in mine),
                "noisy": sum(bool(q["noisy"]) for q in mine),
                "pages": len({p for q in mine for p in q["gold_pages"]}),
                "overlap": mean(shared),
                "recall5": mean(recalls),
                "ndcg10": mean(gains),
            }
        )
    return rows


def table(root: Path) -> str:
    cell = lambda v: "-" if v is None else f"{v:.2f}"  # noqa: E731
    out = [
        "| kind | questions | share | dev | test | noisy | gold pages | word overlap | BM25 recall@5 | BM25 nDCG@10 |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for r in figures(root):
        out.append(
            f"| {r['kind']} | {r['n']} | {100 * r['share']:.0f}% | {r['dev']} | {r['test']} "
            f"| {r['noisy']} | {r['pages']} | {cell(r['overlap'])} | {cell(r['recall5'])} "
            f"| {cell(r['ndcg10'])} |"
        )
    return "\n".join(out)


def check_totals(root: Path) -> list[str]:
    """The corpus has the sizes and shares it promises, and its gaps are gaps."""
    errors = []
    pages, prose = docs_pages(root), prose_pages(root)
    if len(pages) < MIN_PAGES:
        errors.append(f"{len(pages)} pages, wanted {MIN_PAGES}")
    if len(prose) < MIN_PROSE:
        errors.append(f"{len(prose)} prose pages, wanted {MIN_PROSE}")
    rows = {r["kind"]: r for r in figures(root)}
    if rows["all"]["n"] < MIN_QUESTIONS:
        errors.append(f"{rows['all']['n']} questions, wanted {MIN_QUESTIONS}")
    for kind, share in SHARES.items():
        if abs(rows[kind]["share"] - share) > 0.015:
            errors.append(f"{kind}: {100 * rows[kind]['share']:.1f}% of the questions, wanted {100 * share:.0f}%")
        if rows[kind]["n"] and not 0.35 <= rows[kind]["dev"] / rows[kind]["n"] <= 0.65:
            errors.append(f"{kind}: {rows[kind]['dev']} of {rows[kind]['n']} are in dev")
    noisy = rows["all"]["noisy"] / max(1, rows["all"]["n"])
    if not 0.08 <= noisy <= 0.14:
        errors.append(f"{100 * noisy:.1f}% of the questions are noisy, wanted a tenth")
    if (rows["vocabulary-gap"]["overlap"] or 0) > 0.6 * (rows["direct"]["overlap"] or 1):
        errors.append("vocabulary-gap questions use too many of their passages' words")
    return errors


def check_tenant_questions(root: Path) -> list[str]:
    """A tenant's questions have a gold page of that tenant, whose value differs from the shared."""
    errors, everything = [], tenant_pages(root)
    shared = docs_pages(root)
    for q in questions_of(root, "tenant-questions.jsonl"):
        where = f"tenant-questions.jsonl {q.get('id')}"
        for gold in q["gold_sections"]:
            text = everything.get(gold["page"])
            if text is None or gold["page"].split("/")[1] != q["tenant"]:
                errors.append(f"{where}: {gold['page']} is no page of {q['tenant']}")
            elif gold["heading"] not in headings(text):
                errors.append(f"{where}: {gold['page']} has no heading '{gold['heading']}'")
            elif q["answer"] not in section(text, gold["heading"]):
                errors.append(f"{where}: '{q['answer']}' is not in the gold passage")
        for page in q["shared_pages"]:
            if page not in shared:
                errors.append(f"{where}: no such shared page {page}")
            elif q["shared_answer"] not in " ".join(shared[page].split()):
                errors.append(f"{where}: '{q['shared_answer']}' is not in {page}")
            elif q["answer"] in shared[page]:
                errors.append(f"{where}: '{q['answer']}' is in {page} too")
        private = " ".join(everything.get(g["page"], "") for g in q["gold_sections"])
        if q["shared_answer"] in private:
            errors.append(f"{where}: the tenant's page states the shared '{q['shared_answer']}'")
    return errors


CHECKS = (
    check_generated,
    check_numbers,
    check_links,
    check_shape,
    check_names,
    check_definitions,
    check_questions,
    check_split,
    check_tenant_questions,
)


def run(root: Path = HERE, totals: bool = True) -> list[str]:
    errors = [e for check in CHECKS for e in check(root)] + check_tenants(root, totals)
    return errors + (check_totals(root) if totals else [])


def main(argv: list[str]) -> int:
    errors = run(HERE, totals="--growing" not in argv)
    pages, prose = docs_pages(HERE), prose_pages(HERE)
    tenants = Counter(p.split("/")[1] for p in tenant_pages(HERE))
    print(
        f"pages: {len(pages)}, of them prose: {len(prose)}; tenants' pages: "
        + ", ".join(f"{t} {n}" for t, n in sorted(tenants.items()))
    )
    print(
        f"facts: {len(gen.Facts(HERE).values)}, numbers registered in prose: "
        f"{sum(len(c or []) for c in claims_of(HERE).values())}"
    )
    print(table(HERE))
    for error in errors:
        print(error)
    print(f"{len(errors)} errors" if errors else "no errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
