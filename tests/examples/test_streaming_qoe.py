"""The example corpus examples/streaming-qoe is whole, consistent and labelled as it promises."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.training.duplicates import NearDuplicates

CORPUS = Path(__file__).resolve().parents[2] / "examples" / "streaming-qoe"


def _load(name: str):
    spec = importlib.util.spec_from_file_location(f"corpus_{name}", CORPUS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check = _load("check")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the corpus to spoil."""
    root = tmp_path / "streaming-qoe"
    shutil.copytree(CORPUS, root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("part", check.CHECKS, ids=lambda c: c.__name__)
def test_part_of_the_check_finds_no_error(part):
    """Each part of the check passes on the corpus as committed."""
    assert part(CORPUS) == []


def test_totals_and_shares_are_kept():
    """The corpus has the pages, questions, shares and splits that it promises."""
    assert check.check_tenants(CORPUS) == []
    assert check.check_totals(CORPUS) == []


def test_generated_pages_follow_from_the_fact_table(copy: Path):
    """Changing a fact makes the generator name the page that states it."""
    _replace(copy / "facts" / "metrics-a.yaml", "floor: 250 milliseconds", "floor: 260 milliseconds")
    assert "metrics/stall-ratio.md" in check.gen.differing(copy)


def test_generator_exits_with_1_and_names_the_page_that_differs(copy: Path):
    """The command generate.py --check exits with 1 and names the page that was altered, and with 0 once it is rewritten."""
    _replace(copy / "docs" / "metrics" / "stall-ratio.md", "250 milliseconds", "251 milliseconds")
    command = [sys.executable, str(copy / "generate.py")]
    done = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "docs/metrics/stall-ratio.md" in done.stdout
    assert subprocess.run(command, check=False).returncode == 0
    assert subprocess.run([*command, "--check"], check=False).returncode == 0


def test_check_exits_with_1_and_lists_the_error(copy: Path):
    """The command check.py prints its table and exits with 1 when a number in a page was altered."""
    _replace(copy / "docs" / "data" / "retention.md", "| 45 days |", "| 46 days |")
    done = subprocess.run([sys.executable, str(copy / "check.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "| vocabulary-gap |" in done.stdout
    assert "says '46 days" in done.stdout


def test_number_changed_by_hand_in_a_generated_page_is_found(copy: Path):
    """A number altered in a generated page fails the check."""
    _replace(copy / "docs" / "metrics" / "stall-ratio.md", "250 milliseconds", "251 milliseconds")
    assert any("metrics/stall-ratio.md" in e for e in check.check_generated(copy))


def test_number_changed_by_hand_in_prose_is_found(copy: Path):
    """A number altered in a prose page fails the check, which names the line and the fact."""
    _replace(copy / "docs" / "data" / "retention.md", "| 45 days |", "| 46 days |")
    errors = check.check_numbers(copy)
    assert len(errors) == 1
    assert "data/retention.md" in errors[0]
    assert "keep.raw" in errors[0]


def test_every_number_of_every_prose_page_is_guarded(copy: Path):
    """Whichever single number of a prose page is altered, the check of that page fails."""
    shared = check.gen.Facts(copy)
    claims = check.claims_of(copy)
    guarded = 0
    for page, listed in claims.items():
        tenant = page.split("/")[1] if page.startswith("tenants/") else None
        facts = check.gen.Facts(copy, tenant) if tenant else shared
        text = (copy / page).read_text(encoding="utf-8")
        for at, number in check.gen.numbers(text):
            digit = str((int(number[0]) + 1) % 10)
            spoiled = text[:at] + digit + text[at + 1 :]
            assert check.match_claims(page, spoiled, listed or [], facts)[1], (page, number)
            guarded += 1
    assert guarded > 500


def test_number_added_to_prose_without_a_fact_is_found(copy: Path):
    """A number that no fact covers fails the check."""
    page = copy / "docs" / "admin" / "roles.md"
    page.write_text(page.read_text(encoding="utf-8") + "\nIt takes 12 minutes.\n", encoding="utf-8")
    assert any("no fact is registered" in e for e in check.check_numbers(copy))


def test_changed_fact_is_found_in_prose_too(copy: Path):
    """Changing a shared fact fails every prose page that states the old value."""
    _replace(copy / "facts" / "values.yaml", "play_timeout: 180 seconds", "play_timeout: 190 seconds")
    assert any("how-a-play-ends.md" in e for e in check.check_numbers(copy))


def test_broken_link_is_found(copy: Path):
    """A link to a page that does not exist fails the check."""
    _replace(copy / "docs" / "data" / "freshness.md", "../releases/index.md", "../releases/none.md")
    assert any("broken link" in e for e in check.check_links(copy))


def test_page_in_both_splits_is_found(copy: Path):
    """A page whose questions are in both splits fails the check."""
    path = copy / "questions.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    row = dict(next(r for r in rows if r["kind"] == "direct"), id="x", question="Another one?")
    row["split"] = "test" if row["split"] == "dev" else "dev"
    path.write_text("\n".join(json.dumps(r) for r in [*rows, row]), encoding="utf-8")
    assert any(e.startswith("questions.jsonl x") for e in check.check_split(copy))


def test_wrong_answer_is_found(copy: Path):
    """A reference answer with a number that its gold passages lack fails the check."""
    path = copy / "questions.jsonl"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        re.sub(r"no beacon has come for 180 seconds", "no beacon has come for 77 seconds", text), encoding="utf-8"
    )
    assert any("answer's 77" in e for e in check.check_questions(copy))


def test_second_definition_is_found(copy: Path):
    """A prose page that defines a metric once more fails the check."""
    page = copy / "docs" / "guides" / "measure-ads.md"
    page.write_text(page.read_text(encoding="utf-8") + "\nBreak Fill is the share of breaks that began.\n", "utf-8")
    assert any("defines Break Fill" in e for e in check.check_definitions(copy))


def test_unknown_name_is_found(copy: Path):
    """An error code that is not in the fact table fails the check."""
    _replace(copy / "docs" / "playbooks" / "encoder-failure.md", "PG-2104", "PG-2140")
    assert any("unknown error code PG-2140" in e for e in check.check_names(copy))


def test_quantity_in_words_is_found(copy: Path):
    """A quantity that is spelled out, and so escapes the comparison with the facts, fails the check."""
    page = copy / "docs" / "admin" / "roles.md"
    page.write_text(page.read_text(encoding="utf-8") + "\nIt takes twenty minutes.\n", encoding="utf-8")
    assert any("twenty minutes" in e for e in check.check_numbers(copy))


def test_tenants_value_equal_to_the_shared_one_is_found(copy: Path):
    """A tenant whose value no longer contradicts the shared one fails the check."""
    _replace(copy / "facts" / "tenants.yaml", "keep.raw: 120 days", "keep.raw: 45 days")
    assert any("keep.raw is the same" in e for e in check.check_tenants(copy))


def test_link_to_another_tenant_is_found(copy: Path):
    """A tenant's page that links another tenant's page fails the check."""
    page = copy / "tenants" / "arena-sports" / "index.md"
    page.write_text(page.read_text(encoding="utf-8") + "\n[x](../northwind-tv/index.md)\n", encoding="utf-8")
    assert any("another tenant" in e for e in check.check_links(copy))


def test_pages_shown_as_drafts_give_the_same_pages_again():
    """A page turned into a draft and registered anew is unchanged, and so are its claims."""
    register = _load("register")
    claims = check.claims_of(CORPUS)
    for page in list(claims)[::7]:
        facts = register.gen.Facts(CORPUS, register.tenant_of(page))
        text, found, errors = register.render(page, register.as_draft(page, CORPUS), facts)
        assert errors == []
        assert text == (CORPUS / page).read_text(encoding="utf-8")
        assert found == (claims[page] or [])


def test_table_lists_every_kind():
    """The printed table has a row for each kind of question and one for all."""
    text = check.table(CORPUS)
    for kind in [*check.SHARES, "all"]:
        assert f"| {kind} |" in text


def _seeds() -> list[dict[str, str]]:
    return [json.loads(text) for text in (CORPUS / "seeds.jsonl").read_text(encoding="utf-8").splitlines()]


def test_every_seed_names_a_section_that_there_is():
    """A training question without its section teaches nothing."""
    headings = {
        (page.relative_to(CORPUS / "docs").as_posix(), heading)
        for page in (CORPUS / "docs").rglob("*.md")
        for _, heading in check.HEADING.findall(check.FENCE.sub("", page.read_text(encoding="utf-8")))
    }
    assert {(seed["page"], seed["section"]) for seed in _seeds()} <= headings


def test_no_seed_is_nearly_an_evaluation_question():
    """Otherwise the adapter would be measured on what it was trained on."""
    files = (CORPUS / "questions.jsonl", CORPUS / "tenant-questions.jsonl")
    asked = [json.loads(text)["question"] for file in files for text in file.read_text(encoding="utf-8").splitlines()]
    known = NearDuplicates(asked)
    assert [seed["question"] for seed in _seeds() if known.find(seed["question"])] == []


def test_answered_seeds_are_seeds_and_their_numbers_are_on_the_page():
    """What teaches to answer is held to the same rules, and says nothing that its page does not."""
    answered = [json.loads(text) for text in (CORPUS / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    asked = {(seed["page"], seed["section"], seed["question"], seed["style"]) for seed in _seeds()}
    assert {(seed["page"], seed["section"], seed["question"], seed["style"]) for seed in answered} <= asked
    pages = {seed["page"]: (CORPUS / "docs" / seed["page"]).read_text(encoding="utf-8") for seed in answered}
    numbers = re.compile(r"\d[\d.,]*\d|\d")
    assert [
        seed["answer"]
        for seed in answered
        if not set(numbers.findall(seed["answer"])) <= set(numbers.findall(pages[seed["page"]] + seed["question"]))
    ] == []
