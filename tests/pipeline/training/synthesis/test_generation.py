"""A model adds examples; whatever it writes, what was paid for is kept and what is wrong is dropped."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ModelRejected, ModelStreamBroken, ModelUnavailable, TrainingError
from pipeline.llm import Message
from pipeline.llm.scripted import Failure, Reply, ScriptedChatModel
from pipeline.training.synthesis import prompts
from pipeline.training.synthesis.asking import Asker, Limits, Question
from pipeline.training.synthesis.costs import Usage
from pipeline.training.synthesis.examples import Example
from pipeline.training.synthesis.filters import Dropped, filters_of, passed, passes
from pipeline.training.synthesis.generation import Amount, Generator
from pipeline.training.synthesis.journal import JOURNAL, Journal
from pipeline.training.synthesis.kinds import kinds_for
from pipeline.training.synthesis.near import HeldOut
from pipeline.training.synthesis.rules import by_rules
from pipeline.training.synthesis.seeds import from_seeds, read_seeds
from tests.pipeline.training.synthesis.support import json_lines, small_corpus

CORPUS = small_corpus()
SEED = {"question": "when does a key stop working", "page": "limits.md", "section": "Per API key"}


def a_good_model(messages: Sequence[Message]) -> Reply:
    """Answers each prompt in the form that it asks for, from the first quoted sentence."""
    asked = messages[-1].content
    told = next((line[2:] for line in asked.splitlines() if line.startswith("> ") and line.endswith(".")), "")
    if "other ways to ask" in asked:
        return f"- {asked.rpartition('Question: ')[2]} please\n- tell me about it: {asked.rpartition('Question: ')[2]}"
    if "Q: the question" in asked:
        return f"Q: Which words are quoted, {told[:40]}?\nA: {told}"
    return told


def seeds(folder: Path) -> list[Example]:
    return from_seeds(CORPUS, read_seeds([json_lines(folder / "seeds.jsonl", SEED)]))[0]


async def generate(
    folder: Path, model: ScriptedChatModel, given: Sequence[Example] = (), calls: int | None = None
) -> tuple[list[Example], Usage]:
    journal = Journal(folder)
    asker = Asker(model, journal, Limits(at_once=3, calls=calls))
    try:
        return await Generator(CORPUS, asker, Amount(2, 2)).write(given), asker.usage
    finally:
        journal.close()


async def test_a_model_adds_all_kinds(tmp_path: Path) -> None:
    """Questions of several kinds, other words for passages and questions, notes on two pages, answers to seeds."""
    found, usage = await generate(tmp_path, ScriptedChatModel(a_good_model, name="writer"), seeds(tmp_path))
    kinds = {example.kind for example in found}
    assert kinds >= {"definition", "range", "comparison", "global", "paraphrase", "note", "rephrased", "grounded"}
    assert {example.generator for example in found} == {"writer"}
    assert all(len(example.prompt_version) == 12 for example in found)
    assert usage.tokens_in > usage.tokens_out > 0
    note = next(example for example in found if example.kind == "note")
    assert len({passage.document_id for passage in note.gold}) == 2


async def test_questions_of_rules_are_asked_in_other_words_once_for_each_answer(tmp_path: Path) -> None:
    """Their own wordings are not worth a call each; keywords and sentences are no questions."""
    given = list(by_rules(CORPUS, 5))
    found, _ = await generate(tmp_path, ScriptedChatModel(a_good_model), given)
    plain, _ = await generate(tmp_path, ScriptedChatModel(a_good_model))
    added = [example for example in found if example.kind == "rephrased"]
    assert len(plain) < len(found)
    assert len({(example.gold[0].id, example.answer, example.question) for example in added}) <= len(given)
    tables = {example.answer for example in given if example.kind == "table"}
    assert sum(example.answer in tables for example in added) == 2 * len(tables)


async def test_only_what_is_worth_it_is_asked_in_other_words(tmp_path: Path) -> None:
    """A call for other wordings of nonsense would be paid for and dropped."""
    model = ScriptedChatModel(a_good_model)
    journal = Journal(tmp_path)
    filters = filters_of(CORPUS, HeldOut([]))
    invented = ScriptedChatModel(["Q: How many bananas?\nA: There are 77 bananas."])
    generator = Generator(CORPUS, Asker(invented, journal, Limits()), Amount(1, 2), lambda each: passes(each, filters))
    await generator.write([])
    journal.close()
    assert not [each for each in invented.requests if "other ways to ask" in each.messages[-1].content]
    await generate(tmp_path / "all", model)
    assert [each for each in model.requests if "other ways to ask" in each.messages[-1].content]


async def test_an_answer_to_a_seed_is_asked_as_it_is_served(tmp_path: Path) -> None:
    """And its markers are taken out: rows number their passages anew."""
    model = ScriptedChatModel(["A key ends 400 days after it was made [1]."])
    found, _ = await generate(tmp_path, model, seeds(tmp_path), calls=1)
    assert [example.answer for example in found] == ["A key ends 400 days after it was made."]
    assert model.requests[0].messages[-1].content.startswith("Documentation:\n\n[1] Limits > Per API key")


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        ("lorem ipsum dolor sit amet consectetur", "unreadable"),
        ("and again and again " * 400, "looped"),
    ],
)
async def test_a_bad_generator_adds_nothing_that_passes(tmp_path: Path, text: str, trouble: str) -> None:
    """Nonsense, empty and endless text is counted; nothing of it becomes a row."""
    found, usage = await generate(tmp_path, ScriptedChatModel([text]))
    assert usage.troubles[trouble] > 0
    assert not passed(found, filters_of(CORPUS, HeldOut([])), Dropped())


async def test_endless_text_is_left_as_soon_as_it_repeats_itself(tmp_path: Path) -> None:
    """The server stops generating; what is not repetition is kept."""
    model = ScriptedChatModel(["Q: What is a key?\nA: A key ends after days. " + "A key ends after days. " * 300])
    journal = Journal(tmp_path)
    asker = Asker(model, journal, Limits())
    (text,) = await asker.ask([Question(prompts.pairs("general", CORPUS.passages[:1], 1), 5000)])
    assert model.abandoned == 1
    assert text
    assert len(text) < 200
    journal.close()


async def test_a_second_run_asks_nothing_twice_and_goes_on(tmp_path: Path) -> None:
    """--limit-calls ends a run; the same command goes on where it was, and at last asks nothing."""
    model = ScriptedChatModel(a_good_model)
    _, first = await generate(tmp_path, model, calls=5)
    assert (first.calls, len(model.requests)) == (5, 5)
    assert first.left > 0
    found, second = await generate(tmp_path, model)
    assert second.kept == 5
    asked = len(model.requests)
    again, third = await generate(tmp_path, model)
    assert (third.calls, len(model.requests)) == (0, asked)
    assert again == found


@pytest.mark.parametrize("calls", [1, 2, 7, 20])
async def test_a_run_killed_at_any_step_loses_only_what_is_in_flight(tmp_path: Path, calls: int) -> None:
    """Whole lines survive; a line that the kill tore is asked for again and written on a line of its own."""
    whole, _ = await generate(tmp_path / "whole", ScriptedChatModel(a_good_model))
    await generate(tmp_path / "killed", ScriptedChatModel(a_good_model), calls=calls)
    file = tmp_path / "killed" / JOURNAL
    written = file.read_bytes()
    file.write_bytes(written[: len(written) - 1 - calls])  # torn within its last line
    model = ScriptedChatModel(a_good_model)
    found, usage = await generate(tmp_path / "killed", model)
    assert found == whole
    assert usage.kept == calls - 1
    assert (await generate(tmp_path / "killed", model))[1].calls == 0


async def test_a_server_that_goes_away_ends_the_run_and_keeps_the_rest(tmp_path: Path) -> None:
    """The error says what to do; the next run has what was written."""
    model = ScriptedChatModel(lambda _: Failure(ModelUnavailable("gone")) if len(model.requests) > 4 else "A text.")
    with pytest.raises(ModelUnavailable):
        await generate(tmp_path, model)
    assert len(Journal(tmp_path).known) == 4


async def test_a_server_that_breaks_every_stream_is_given_up(tmp_path: Path) -> None:
    """Single failures are counted and tried again by the next run; ten in a row end this one."""
    model = ScriptedChatModel([Failure(ModelStreamBroken("It broke off."), "Half")])
    with pytest.raises(ModelStreamBroken, match="run the same command again later"):
        await generate(tmp_path, model)
    assert not Journal(tmp_path).known


async def test_a_prompt_that_the_server_refuses_is_left_out(tmp_path: Path) -> None:
    """A passage that is too long for the window must not end a run of hours."""
    found, usage = await generate(tmp_path, ScriptedChatModel([Failure(ModelRejected("too long"))]))
    assert found == []
    assert usage.troubles["rejected"] == usage.calls


async def test_a_full_disk_ends_the_run_with_the_journal_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says so; what was written before can be read, and after some room is made the run goes on."""
    model = ScriptedChatModel(a_good_model)
    await generate(tmp_path, model, calls=3)

    class Full:
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            """Nothing to close."""

    really_open = Path.open

    def open_full(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        return Full() if mode == "a" else really_open(self, mode, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", open_full)
        with pytest.raises(TrainingError, match="is full"):
            await generate(tmp_path, model)
    assert len(Journal(tmp_path).known) == 3
    assert (await generate(tmp_path, model))[1].kept == 3


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Q: One?\nA: Yes.\n\nQ: Two?\nA: No.", [("One?", "Yes."), ("Two?", "No.")]),
        ("**Q1:** One?\n**A1:** Yes.", [("One?", "Yes.")]),
        ("1. Question: One?\n   Answer: Yes,\nit is.", [("One?", "Yes, it is.")]),
        ("Sure! Here you go.\nQ: One?", []),
        ("A: Yes.\nQ: One?", []),
        ("", []),
    ],
)
def test_pairs_are_read_in_the_forms_that_models_write(text: str, read: list[tuple[str, str]]) -> None:
    """Marks in bold, numbered or spelled out; what has no answer is left out."""
    assert prompts.read_pairs(text) == read


def test_lines_are_read_without_what_introduces_them() -> None:
    """Bullets, numbers and quotation marks go, and so do lines beyond the number asked for."""
    assert prompts.read_lines('Here are some:\n1. "One?"\n- Two?\n\n3) Three?\nFour?', 3) == ["One?", "Two?", "Three?"]


def test_an_abstention_is_no_text() -> None:
    """A model that says that the passages do not say gives no answer to be trained on."""
    assert prompts.read_text("The documentation does not say.") == ""


def test_each_passage_is_asked_for_what_it_holds() -> None:
    """Numbers for ranges, the top of a page for definitions, and something of every passage."""
    kinds = {passage.heading_path[-1]: kinds_for(passage) for passage in CORPUS.passages}
    assert "definition" in kinds["Stall Ratio"]
    assert "range" in kinds["Good range"]
    assert all(kinds.values())
