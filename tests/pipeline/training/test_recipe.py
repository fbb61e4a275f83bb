"""Recipes are read whole, or refused with the keys that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import TrainingError
from pipeline.training.recipe import Module, read_recipe

RECIPES = [Path("manifests/training", f"{name}.yaml") for name in ("cpu-135m", "lora-fsdp-70b", "qlora-fsdp-70b")]
SOUND = "name: mine\nbase: a/b\nrank: 8\nalpha: 16\nlearning_rate: 0.001\n"


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_the_recipes_of_the_repository_are_sound(file: Path) -> None:
    """Each is named like its file and trains the seven projections."""
    recipe = read_recipe(file)
    assert recipe.name == file.stem
    assert set(recipe.modules) == set(Module)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("rank: 128", "rank: 128 is more than TGI serves"),
        ("rank: 0", "rank: "),
        ("modules: [q_proj, lm_head]", "modules.1: "),
        ("modules: [q_proj, q_proj]", "names one twice"),
        ("modules: []", "modules: "),
        ("skills: [poems]", "skills.0: "),
        ("learning_rat: 0.1", "learning_rat is no key"),
        ("learning_rate: fast", "learning_rate: .*'fast'"),
        ("dimensions: {layers: 2}", "dimensions.hidden is missing"),
        ("quantisation: int3", "quantisation: "),
        ("12: x", "keywords must be strings"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, lines: str, says: str) -> None:
    """The message names the file, the key and what was given."""
    file = tmp_path / "mine.yaml"
    file.write_text(SOUND + lines)
    with pytest.raises(TrainingError, match=rf"mine\.yaml: .*{says}"):
        read_recipe(file)


@pytest.mark.parametrize(
    ("text", "says"), [("a: [", "no YAML"), ("- rank", "no recipe"), ("name: mine", "base is missing.*rank is missing")]
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """All that is missing is named at once."""
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(TrainingError, match=says):
        read_recipe(file)
    with pytest.raises(TrainingError, match="cannot be read"):
        read_recipe(tmp_path / "none.yaml")


def test_changes_of_the_command_line_are_checked_too(tmp_path: Path) -> None:
    """They replace the file's values, and count for the run's identity; the name does not."""
    file = tmp_path / "mine.yaml"
    file.write_text(SOUND)
    assert read_recipe(file, base="c/d", seed=None).base == "c/d"
    assert read_recipe(file).digest == read_recipe(file, name="other").digest != read_recipe(file, seed=1).digest
