"""Training's libraries are an extra."""

from __future__ import annotations

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.errors import TrainingError
from pipeline.training.libraries import EXTRA, need_libraries


def test_a_missing_library_is_named_with_what_to_run() -> None:
    """Instead of an ImportError from somewhere within."""
    with pytest.raises(TrainingError, match=r"needs peft, trl: run `pip install 'promptai\[train\]'`"):
        need_libraries(lambda name: None if name in ("peft", "trl") else find_spec("json"))
    need_libraries(lambda _name: find_spec("json"))


def test_they_are_what_the_extra_installs() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    wanted = project["optional-dependencies"]["train"]
    assert sorted(re.split(r"[<>=\[]", each)[0] for each in wanted) == sorted(EXTRA)
