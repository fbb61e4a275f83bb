"""A run without a model: rules and seeds become a data folder that can be trained on."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline import prompts
from pipeline.errors import EvaluationError, TrainingError
from pipeline.training.rows import Row, Skill, file_hash
from pipeline.training.synthesis.drafts import DraftForm
from pipeline.training.synthesis.making import NO_ANSWER, Shape
from pipeline.training.synthesis.tokens import estimate
from tests.pipeline.training.synthesis.support import a_plan, json_lines, rows_of, small_corpus, synthesise

SEED = {"question": "why does it freeze", "page": "metrics/stall-ratio.md", "section": "Definition", "style": "plain"}


def test_a_run_writes_everything_and_says_what_it_wrote(tmp_path: Path) -> None:
    """Rows of both skills, pairs, a manifest with hashes and the pinned template, a report, a page to read."""
    plan = a_plan(tmp_path / "data", wordings=1)
    manifest = synthesise(plan)
    assert json.loads((plan.out / "manifest.json").read_text()) == manifest
    assert manifest["files"]["train.jsonl"]["sha256"] == file_hash(plan.out / "train.jsonl")
    assert manifest["corpus"]["hash"] == small_corpus().hash
    assert manifest["chat_template"]["text"].startswith("{% for")
    assert {row.skill for row in rows_of(plan)} == set(Skill)
    assert "| draft |" in (plan.out / "report.md").read_text()
    assert not list(plan.out.glob("*.unfinished"))


def test_prompts_are_the_served_ones(tmp_path: Path) -> None:
    """A draft row's prompt is what the drafter is asked; a grounded row's begins as the small model is asked."""
    plan = a_plan(tmp_path, wordings=1, shape=Shape(small_model=True))
    synthesise(plan)
    rows = rows_of(plan)
    draft = next(row for row in rows if row.skill is Skill.DRAFT)
    assert list(draft.prompt) == prompts.draft_messages(draft.question, trained=True)
    answer = next(row for row in rows if row.skill is Skill.ANSWER)
    assert answer.prompt[0].content == prompts.SMALL_MODEL_ANSWER
    assert answer.question.startswith("Documentation:\n\n[1] ")


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    """Data can be made anew and compared by its hash."""
    first, second = (synthesise(a_plan(tmp_path / name, wordings=2)) for name in ("a", "b"))
    assert first["files"] == second["files"]


@pytest.mark.parametrize("form", list(DraftForm))
def test_a_draft_begins_with_the_heading_path_and_has_a_limit(tmp_path: Path, form: DraftForm) -> None:
    """Retrieval may look at its first words only."""
    plan = a_plan(tmp_path, wordings=1, shape=Shape(skills=(Skill.DRAFT,), draft_form=form, draft_tokens=30))
    synthesise(plan)
    passages = {passage.id: passage for passage in small_corpus().passages}
    for row in rows_of(plan):
        assert row.text.startswith(" > ".join(passages[row.provenance.passages[0]].heading_path))
        assert estimate(row.text) <= 30


def test_a_grounded_answer_cites_the_right_passage_among_others(tmp_path: Path) -> None:
    """Its number is that of a passage it was made from; wrong ones are of other pages."""
    plan = a_plan(tmp_path, wordings=1, shape=Shape(skills=(Skill.ANSWER,), absent=0.0))
    synthesise(plan)
    rows = rows_of(plan)
    row = next(row for row in rows if "180 requests" in row.text)
    number = row.text.split("[")[1][0]
    assert f"[{number}] Limits > Per API key" in row.question
    assert row.question.count("\n\n[") == 3
    assert {row.text.split("[")[1][0] for row in rows} == {"1", "2", "3"}


def test_passages_may_stand_as_they_are_served(tmp_path: Path) -> None:
    """Another section of the right page is among them, and where the question's words find the right one it is the first."""
    rows: dict[bool, dict[str, Row]] = {}
    for best_first in (False, True):
        shape = Shape(skills=(Skill.ANSWER,), absent=0.0, best_first=best_first)
        plan = a_plan(tmp_path / str(best_first), wordings=1, shape=shape)
        synthesise(plan)
        rows[best_first] = {row.question.rpartition("Question: ")[2]: row for row in rows_of(plan)}
    assert rows[False].keys() == rows[True].keys()
    asked = next(question for question, row in rows[True].items() if "180 requests" in row.text)
    assert rows[True][asked].text.endswith("[1].")
    assert [rows[kind][asked].question.count("] Limits") for kind in (False, True)] == [1, 2]


def test_a_share_of_the_contexts_lacks_the_right_passage(tmp_path: Path) -> None:
    """There the completion is the abstention as it is served, and no passage of the right page is shown."""
    plan = a_plan(tmp_path, wordings=2, shape=Shape(skills=(Skill.ANSWER,), absent=0.5))
    synthesise(plan)
    rows = rows_of(plan)
    lacking = [row for row in rows if row.kind == NO_ANSWER]
    assert 0.3 < len(lacking) / len(rows) < 0.7
    corpus = small_corpus()
    for row in lacking:
        assert row.text == prompts.NO_ANSWER
        assert row.provenance.passages == ()
        own = {corpus.by_document[document].title for document in row.provenance.document.split(" ")}
        assert not [title for title in own if f"] {title}" in row.question]


def test_rows_stay_within_their_tokens(tmp_path: Path) -> None:
    """With room for little, fewer wrong passages are shown."""
    plan = a_plan(tmp_path, wordings=1, shape=Shape(skills=(Skill.ANSWER,), row_tokens=330))
    synthesise(plan)
    for row in rows_of(plan):
        assert sum(estimate(message.content) for message in row.prompt) + estimate(row.text) <= 330


def test_held_out_rows_ask_other_questions_of_the_same_documents(tmp_path: Path) -> None:
    """A document that is not trained on cannot be known: what is held out is questions, never facts."""
    plan = a_plan(tmp_path, shape=Shape(held_out=0.2))
    synthesise(plan)
    train, held = ((plan.out / name).read_text().splitlines() for name in ("train.jsonl", "held-out.jsonl"))
    asked = [{json.loads(line)["prompt"][-1]["content"] for line in lines} for lines in (train, held)]
    assert held
    assert not asked[0] & asked[1]
    documents = {json.loads(line)["provenance"]["document"] for line in train}
    assert documents >= {page.id for page in small_corpus().pages}


def test_seeds_become_a_draft_and_a_pair(tmp_path: Path) -> None:
    """Their style is part of the kind; the pair is what the embedder learns from."""
    plan = a_plan(tmp_path / "data", rules=False, seeds=(json_lines(tmp_path / "s.jsonl", SEED),))
    synthesise(plan)
    (row,) = rows_of(plan)
    assert (row.kind, row.provenance.generator) == ("seed-plain", "seed")
    assert row.text.startswith("Stall Ratio > Definition")
    pair = json.loads((plan.out / "pairs.jsonl").read_text())
    assert pair["question"] == SEED["question"]
    assert pair["passage"].startswith("Stall Ratio > Definition\n")


def test_seeds_may_name_sections_by_anchor_and_pages_by_the_end(tmp_path: Path) -> None:
    """As in question files with `section_ids`, and where documents were synced under a URL."""
    seed = {"question": "how long is it counted", "page": "stall-ratio.md", "section_ids": ["definition"]}
    plan = a_plan(tmp_path / "data", rules=False, seeds=(json_lines(tmp_path / "s.jsonl", seed),))
    synthesise(plan)
    assert rows_of(plan)[0].text.startswith("Stall Ratio > Definition")


def grounded_row(folder: Path, seed: dict[str, str]) -> Row:
    """The one grounded answer that the seed becomes."""
    shape = Shape(skills=(Skill.ANSWER,), absent=0.0)
    plan = a_plan(folder / "data", rules=False, shape=shape, seeds=(json_lines(folder / "s.jsonl", seed),))
    synthesise(plan)
    (row,) = rows_of(plan)
    return row


def test_the_answer_of_a_seed_is_cited_sentence_by_sentence(tmp_path: Path) -> None:
    """What somebody wrote from the section is the completion; each sentence cites the passage that holds most of it."""
    seed = {
        "question": "may I call it often, and for how long",
        "page": "limits.md",
        "answer": "A key may make 180 requests per minute. It ends 400 days after it was made.",
    }
    row = grounded_row(tmp_path, seed)
    number = row.question.split("] Limits > Per API key")[0][-1]
    assert (
        row.text == f"A key may make 180 requests per minute [{number}]. It ends 400 days after it was made [{number}]."
    )


def test_an_answer_over_two_passages_cites_both(tmp_path: Path) -> None:
    """A number that the nearest passage lacks is looked for in the next ones of the page."""
    seed = {
        "question": "over how long is it taken, and from where on is it bad",
        "page": "metrics/stall-ratio.md",
        "answer": "Stall Ratio is taken over 12 seconds after the first frame. On demand, investigate above 7%.",
    }
    row = grounded_row(tmp_path, seed)
    assert len(row.provenance.passages) == 2
    assert len(set(re.findall(r"\[(\d)\]", row.text))) == 2


def test_an_answer_that_its_page_does_not_bear_out_teaches_nothing(tmp_path: Path) -> None:
    """Its question still does: the draft stays, the grounded row is not made."""
    seed = {**SEED, "answer": "It freezes for 99 seconds."}
    plan = a_plan(tmp_path / "data", rules=False, seeds=(json_lines(tmp_path / "s.jsonl", seed),))
    synthesise(plan)
    assert [row.skill for row in rows_of(plan)] == [Skill.DRAFT]


def test_broken_seeds_are_listed(tmp_path: Path) -> None:
    """With file and line; nothing is made."""
    file = json_lines(tmp_path / "s.jsonl", SEED, {"question": "x"}, {"page": "y"})
    file.write_text(file.read_text() + "{\n[]\n")
    with pytest.raises(TrainingError, match=r"s.jsonl:2: needs page; s.jsonl:3: needs question; s.jsonl:4: not JSON"):
        synthesise(a_plan(tmp_path / "data", seeds=(file,)))


def test_seeds_of_unknown_pages_are_listed_or_left_out(tmp_path: Path) -> None:
    """--skip-unknown-seeds counts them in place of stopping."""
    seeds = json_lines(tmp_path / "s.jsonl", SEED, {**SEED, "page": "metrics/nowhere.md"}, {**SEED, "section": "No"})
    with pytest.raises(TrainingError, match=r"s.jsonl:2 metrics/nowhere.md > Definition; s.jsonl:3"):
        synthesise(a_plan(tmp_path / "data", seeds=(seeds,)))
    manifest = synthesise(a_plan(tmp_path / "data", seeds=(seeds,), skip_unknown_seeds=True))
    assert manifest["dropped"]["unknown-seed"] == 2


def test_evaluation_questions_are_left_out_even_if_nothing_else_is_left(tmp_path: Path) -> None:
    """Then there is no data, and the error says why."""
    seeds = json_lines(tmp_path / "s.jsonl", SEED)
    held_out = json_lines(tmp_path / "q.jsonl", {"id": "q1", "question": "Why does it freeze?"})
    with pytest.raises(TrainingError, match=r"No rows are left of 1 examples \(dropped: leak 1\)"):
        synthesise(a_plan(tmp_path / "data", rules=False, seeds=(seeds,), held_out=(held_out,)))
    manifest = synthesise(a_plan(tmp_path / "data", seeds=(seeds,), held_out=(held_out,)))
    assert manifest["dropped"]["leak"] == 1


def test_a_broken_file_of_evaluation_questions_stops_the_run(tmp_path: Path) -> None:
    """What cannot be read cannot be held out."""
    file = tmp_path / "q.jsonl"
    file.write_text("{")
    with pytest.raises(EvaluationError, match="line 1"):
        synthesise(a_plan(tmp_path / "data", held_out=(file,)))


def test_a_full_disk_is_told_and_leaves_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is then recognised as unfinished; the same command mends it."""
    plan = a_plan(tmp_path / "data", wordings=1)
    synthesise(plan)
    write_text = Path.write_text

    def full(self: Path, *args: Any, **kwargs: Any) -> int:
        if self.name.startswith("pairs"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_text(self, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(TrainingError, match=r"disk .* is full\. Free some space and run the same command again"):
        synthesise(plan)
    assert not (plan.out / "manifest.json").exists()
    assert not list(plan.out.glob("*.unfinished"))
    monkeypatch.undo()
    synthesise(plan)
    assert (plan.out / "manifest.json").exists()


@pytest.mark.parametrize("step", range(6))
def test_a_run_killed_while_it_writes_is_mended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Between any two files: no manifest tells of data that is not there, and a second run writes the same bytes."""
    whole = synthesise(a_plan(tmp_path / "whole", wordings=1))
    plan = a_plan(tmp_path / "data", wordings=1)
    synthesise(plan)
    replace, files = Path.replace, iter(range(step))

    def killed(self: Path, target: Path) -> Path:
        if next(files, None) is None:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            synthesise(plan)
    assert not (plan.out / "manifest.json").exists()
    assert synthesise(plan)["files"] == whole["files"]


def test_the_page_to_read_shows_text_and_never_markup(tmp_path: Path) -> None:
    """Whatever documents hold is escaped."""
    seed = {**SEED, "question": "why <script>alert(1)</script> does it freeze"}
    plan = a_plan(tmp_path / "data", rules=False, seeds=(json_lines(tmp_path / "s.jsonl", seed),))
    synthesise(plan)
    page = (plan.out / "sample.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
