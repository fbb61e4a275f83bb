"""One process owns the data folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.lock import own_data_dir
from pipeline.errors import DataDirectoryBusy


def test_a_second_owner_is_told_who_has_it(tmp_path: Path) -> None:
    with (
        own_data_dir(tmp_path / "data"),
        pytest.raises(DataDirectoryBusy, match=str(os.getpid())),
        own_data_dir(tmp_path / "data"),
    ):
        pass


def test_it_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with own_data_dir(tmp_path):
            pass


def test_a_folder_that_cannot_be_made_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirectoryBusy, match="PROMPTAI_DATA_DIR"), own_data_dir(tmp_path / "file"):
        pass
