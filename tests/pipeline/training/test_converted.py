"""Converted adapters are held while they serve, and removed once nobody is configured to load them."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.training import converted
from pipeline.training.converted import converted_adapters
from pipeline.training.gguf_adapter import served_adapter
from pipeline.training.whole import whole
from tests.fakes.tiny_llama import tiny_llama, write_adapter, write_gguf


@dataclass
class Bench:
    """A base, two versions of an adapter, and where their converted forms lie."""

    base: Path
    old: Path
    new: Path
    cache: Path

    @property
    def files(self) -> set[str]:
        return {file.name for file in self.cache.iterdir()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    base = write_gguf(tiny_llama(), tmp_path / "base.gguf")
    return Bench(base, write_adapter(tmp_path / "old"), write_adapter(tmp_path / "new", seed=2), tmp_path / "adapters")


def test_a_start_removes_versions_that_are_not_configured_and_nothing_else(bench: Bench) -> None:
    before = served_adapter(bench.old, bench.base, bench.cache, name="docs")
    other = served_adapter(bench.old, bench.base, bench.cache, name="other")
    (bench.cache / "mine.gguf").write_bytes(b"GGUF")
    with converted_adapters({"docs": bench.new, "o": other}, bench.base, bench.cache) as (docs, same):
        assert same == other
        assert before != docs
        assert bench.files == {docs.name, other.name, "mine.gguf"}
    with converted_adapters({}, bench.base, bench.cache) as none:
        assert none == ()
    assert bench.files == {"mine.gguf"}


def test_a_version_that_another_server_holds_stays_until_it_ends(bench: Bench) -> None:
    with converted_adapters({"docs": bench.old}, bench.base, bench.cache) as (old,):
        with converted_adapters({"docs": bench.new}, bench.base, bench.cache) as (new,):
            assert bench.files == {old.name, new.name}
        with converted_adapters({"docs": bench.old}, bench.base, bench.cache):
            assert bench.files == {old.name}
    with converted_adapters({"docs": bench.new}, bench.base, bench.cache):
        assert bench.files == {new.name}


def test_what_a_killed_process_left_unfinished_is_removed_and_what_a_living_one_writes_is_not(bench: Bench) -> None:
    """Also what an earlier release left, which put its process id there."""
    made = served_adapter(bench.old, bench.base, bench.cache, name="docs")
    code = "import sys, time; from pathlib import Path; from pipeline.training.whole import whole\n"
    code += (
        "with whole(Path(sys.argv[1])) as file: file.write_bytes(b'GG'); print(file.name, flush=True); time.sleep(600)"
    )
    killed, living = (
        subprocess.Popen([sys.executable, "-c", code, str(made)], stdout=subprocess.PIPE, text=True) for _ in range(2)
    )
    with killed, living:
        try:
            left, written = (process.stdout.readline().strip() for process in (killed, living) if process.stdout)
            killed.kill()
            killed.wait()
            (bench.cache / f"{made.name}.4711.unfinished").write_bytes(b"GG")
            (bench.cache / "mine.gguf.4711.unfinished").write_bytes(b"GG")
            assert {left, written} < bench.files
            with converted_adapters({"docs": bench.old}, bench.base, bench.cache):
                assert bench.files == {made.name, written, "mine.gguf.4711.unfinished"}
        finally:
            living.kill()


def test_an_unfinished_file_that_is_removed_before_it_is_locked_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, locked = fcntl.flock, []

    def overtaken(handle: int, kind: int) -> None:
        if not locked:
            next(tmp_path.iterdir()).unlink()
        locked.append(kind)
        lock(handle, kind)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    with whole(tmp_path / "made") as unfinished:
        unfinished.write_text("whole")
    assert len(locked) == 2
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("made", "whole")]


def test_a_file_that_another_start_removes_before_it_is_opened_is_made_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def overtaken(*args: Path, name: str) -> Path:
        made.append(served_adapter(*args, name=name))
        if len(made) == 1:
            made[0].unlink()
        return made[-1]

    monkeypatch.setattr(converted, "served_adapter", overtaken)
    with converted_adapters({"docs": bench.old}, bench.base, bench.cache) as (docs,):
        assert docs.is_file()
    assert len(made) == 2


def test_a_file_that_another_start_removes_before_it_is_locked_is_made_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = served_adapter(bench.old, bench.base, bench.cache, name="docs")
    lock, locked = fcntl.flock, []

    def overtaken(handle: int, kind: int) -> None:
        if not locked:
            made.unlink()
        locked.append(kind)
        lock(handle, kind)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    with converted_adapters({"docs": bench.old}, bench.base, bench.cache) as (docs,):
        assert docs.is_file()
    assert [kind for kind in locked if kind == fcntl.LOCK_SH] == [fcntl.LOCK_SH, fcntl.LOCK_SH]
