"""Which rated answers are learned from, how they weigh, and in which batches they come."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import TrainingError
from pipeline.training.preferences.batches import FixedBatches
from pipeline.training.preferences.recipe import PreferenceRecipe
from pipeline.training.preferences.rows import Preferences, kept_labels, read_preferences, weights
from pipeline.training.recipe import read_as
from tests.pipeline.training.preferences.toy import a_line, a_ratings_folder, a_recipe, some_lines

RECIPE = Path("manifests/training/kto/cpu-135m.yaml")


def test_the_recipe_of_the_repository_is_sound() -> None:
    """It is named like its file."""
    assert read_as(PreferenceRecipe, RECIPE).name == "kto-cpu-135m"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("loss: dpo", "loss: "),
        ("loss: kto\nbatch: 1", "batch has to be 2 or more"),
        ("modes: [rag, rag]", "names one twice"),
        ("rank: 128", "more than TGI serves"),
        ("skills: [draft]", "skills is no key of a recipe.*desirable_weight"),
    ],
)
def test_a_wrong_key_or_value_of_a_recipe_is_named(tmp_path: Path, lines: str, says: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(f"name: mine\nbase: a/b\nlearning_rate: 0.001\n{lines}\n")
    with pytest.raises(TrainingError, match=rf"mine\.yaml: .*{says}"):
        read_as(PreferenceRecipe, file)


def test_answers_from_memory_are_left_out_unless_the_recipe_wants_them(tmp_path: Path) -> None:
    """Nothing else trains their prompt."""
    folder = a_ratings_folder(tmp_path, [*some_lines(), *some_lines(2, 3, mode="finetuned")])
    found = read_preferences(folder, a_recipe())
    assert (found.good, found.bad, found.left_out) == (12, 12, 5)
    everything = read_preferences(folder, a_recipe(modes=["rag", "combined", "finetuned"]))
    assert (everything.good, everything.bad, everything.left_out) == (14, 15, 0)


def test_answers_of_all_models_are_learned_from_unless_one_is_named(tmp_path: Path) -> None:
    """By default whoever wrote them; the models are told with their rows."""
    folder = a_ratings_folder(tmp_path, [*some_lines(), *some_lines(1, 1, models=["tgi"])])
    found = read_preferences(folder, a_recipe())
    assert (len(found.rows), found.writers) == (26, [("drafter", 24), ("answerer", 24), ("tgi", 2)])
    assert len(read_preferences(folder, a_recipe(written_by="answerer")).rows) == 24
    with pytest.raises(TrainingError, match=r"No answer in .* is by nobody: its rows name answerer, drafter, tgi"):
        read_preferences(folder, a_recipe(written_by="nobody"))


@pytest.mark.parametrize(
    ("good", "bad", "says"),
    [
        (5, 4, "5 good and 4 bad answers .* wants at least 20"),
        (24, 0, "24 good and 0 bad answers .* without bad ones"),
        (0, 24, "without good ones"),
    ],
)
def test_too_few_rows_and_rows_of_one_kind_are_refused(tmp_path: Path, good: int, bad: int, says: str) -> None:
    """With their numbers, and what to do."""
    with pytest.raises(TrainingError, match=says):
        read_preferences(a_ratings_folder(tmp_path, some_lines(good, bad)), a_recipe())


def test_a_kind_of_which_no_row_fits_into_the_window_is_refused(tmp_path: Path) -> None:
    recipe = a_recipe(least_rows=2)
    data: Preferences = read_preferences(a_ratings_folder(tmp_path), recipe)
    assert kept_labels(data, [0, 23], recipe) == [True, False]
    with pytest.raises(TrainingError, match="None of the bad answers fits into max_tokens: 256"):
        kept_labels(data, [0, 1], recipe)


def test_broken_rows_are_named(tmp_path: Path) -> None:
    """No label, no question, no JSON."""
    folder = a_ratings_folder(tmp_path)
    unlabelled = {key: value for key, value in a_line(1, good=True).items() if key != "label"}
    a_ratings_folder(folder, [*some_lines(), unlabelled, {**a_line(1, good=True), "prompt": []}])
    with (folder / "kto.jsonl").open("a") as stream:
        stream.write("{broken\n")
    with pytest.raises(TrainingError, match=r"kto\.jsonl:25: label: .*kto\.jsonl:26: the prompt.*kto\.jsonl:27"):
        read_preferences(folder, a_recipe())


def test_a_folder_without_ratings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"has no kto\.jsonl: .*ratings dataset"):
        read_preferences(tmp_path, a_recipe())


@pytest.mark.parametrize(
    ("good", "bad", "given", "expected"),
    [
        (100, 100, (None, None), (1.0, 1.0)),
        (120, 100, (None, None), (1.0, 1.0)),
        (300, 100, (None, None), (1.0, 2.25)),
        (100, 300, (None, None), (3.0, 1.0)),
        (300, 100, (0.5, None), (0.5, 1.0)),
        (300, 100, (None, 4.0), (1.0, 4.0)),
    ],
)
def test_the_rarer_kind_weighs_more_unless_the_recipe_says_how_much(
    good: int, bad: int, given: tuple[float | None, float | None], expected: tuple[float, float]
) -> None:
    """The ratio of weighted numbers then is between 1 and 4/3."""
    found = weights(good, bad, *given)
    assert found == expected
    if given == (None, None):
        assert 1 <= found[0] * good / (found[1] * bad) <= 4 / 3


def test_batches_hold_both_kinds_and_the_same_rows_in_every_epoch() -> None:
    """Even where all bad answers are the longer ones; in another order each time; a single row joins the batch before it."""
    lengths, good = [*range(10, 20), *range(30, 35)], [True] * 10 + [False] * 5
    batches = FixedBatches([*lengths, 5], [*good, True], 5, seed=0)
    assert [len(batch) for batch in batches.batches] == [5, 5, 6]
    assert all({good[at] for at in batch if at < 15} == {True, False} for batch in batches.batches)
    first = list(batches)
    batches.choose(1)
    second = list(batches)
    assert first != second
    assert sorted(map(tuple, first)) == sorted(map(tuple, second))
    assert sorted(at for batch in first for at in batch) == list(range(16))
    assert list(FixedBatches([*lengths, 5], [*good, True], 5, seed=0)) == first
