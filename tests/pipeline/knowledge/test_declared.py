"""knowledge.toml."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.errors import DeclarationError
from pipeline.knowledge.declared import KINDS, chosen, read_declarations
from pipeline.knowledge.schedules import Timetable
from pipeline.knowledge.sources import DirectorySource, Kit

ROOT = Path(__file__).parents[3]


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "knowledge.toml"
    path.write_text(text)
    return path


def test_the_example_file_is_right_and_shows_every_kind() -> None:
    entries = read_declarations(ROOT / "knowledge.example.toml")
    assert {entry.kind for entry in entries} == set(KINDS)
    assert all(entry.tenant for entry in entries)


async def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A")
    [entry] = read_declarations(
        write(tmp_path, '[[source]]\nname = "d"\nkind = "directory"\nlocation = "docs"\nbase_url = "https://x.test"')
    )
    source = entry.open(Kit(folder=tmp_path))
    assert isinstance(source, DirectorySource)
    assert [(file.location, file.key) async for file in source.files()] == [("https://x.test/a.md", "a.md")]


def test_sources_of_one_name_may_belong_to_several_tenants(tmp_path: Path) -> None:
    one = '[[source]]\nname = "d"\nkind = "directory"\nlocation = "docs"\ntenant = "acme"\n'
    entries = read_declarations(write(tmp_path, one + one.replace("acme", "umbrella")))
    assert [entry.tenant for entry in chosen(entries, "d")] == ["acme", "umbrella"]


ENTRY = '[[source]]\nname = "handbook"\nkind = "directory"\nlocation = "docs"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY + 'inclde = ["*"]', "source 'handbook': unknown key 'inclde': did you mean 'include'?"),
        (ENTRY + "zzz = 1", "source 'handbook': unknown key 'zzz'. Known are: name, kind"),
        (ENTRY.replace("directory", "directry"), "source 'handbook': kind: 'directry' is unknown: did you mean 'dir"),
        (ENTRY.replace('kind = "directory"\n', ""), "source 'handbook': kind: one of directory, git"),
        (ENTRY.replace('location = "docs"', ""), "source 'handbook': location: is missing"),
        (ENTRY.replace('"handbook"', '"a:b"'), "source 'a:b': name: "),
        (ENTRY.replace('name = "handbook"', ""), "source number 1: name: is missing"),
        (ENTRY + 'include = "*.md"', "source 'handbook': include: "),
        (ENTRY + 'tenant = "ACME"', "source 'handbook': tenant: "),
        (ENTRY + 'schedule = "sometimes"', "source 'handbook': schedule: 'sometimes' is no schedule: write `every 6h`"),
        (ENTRY + ENTRY, "source 'handbook': name: 'shared' has another one"),
        (ENTRY.replace("directory", "no.such:Thing"), "source 'handbook': kind: 'no.such:Thing' cannot be imported"),
        (ENTRY.replace("directory", "pathlib:Path"), "kind: 'pathlib:Path' is no subclass"),
        ("[source]\nname = 1", "with two brackets"),
        ("[[sources]]\nname = 1", "unknown key 'sources'"),
        ("[[source]\n", "cannot be read"),
    ],
)
def test_an_error_names_the_entry_and_the_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_declarations(write(tmp_path, text))
    assert message in str(caught.value)
    assert "knowledge.toml" in str(caught.value)


def test_a_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="No such file"):
        read_declarations(tmp_path / "nothing.toml")


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 1, 1, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "last", "now", "due"),
    [
        ("every 6h", None, at(0), True),
        ("every 6h", at(0), at(5, 59), False),
        ("every 6h", at(0), at(6), True),
        ("every 15m", at(0), at(0, 15), True),
        ("0 3 * * *", at(2), at(2, 59), False),
        ("0 3 * * *", at(2), at(3), True),
        ("0 3 * * *", at(3), at(23), False),
    ],
)
def test_a_schedule_says_when_a_source_is_due(schedule: str, last: datetime | None, now: datetime, due: bool) -> None:
    assert Timetable(schedule).due(last, now) is due


@pytest.mark.parametrize("wrong", ["every 0m", "every 5 years", "* * * *", "0 25 * * *", "hourly", "* * * * * *"])
def test_what_is_no_schedule_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="schedule"):
        Timetable(wrong)
