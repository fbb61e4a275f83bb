"""Listing and reading files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.errors import DocumentUnreadable, SourceNotFound
from pipeline.knowledge import DirectorySource


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}")


async def locations(source: DirectorySource) -> list[str]:
    return [file.location async for file in source.files()]


async def test_readable_files_are_listed_in_order_with_relative_paths(tmp_path: Path) -> None:
    write(tmp_path, "b.md", "a/c.MARKDOWN", "a/d.html", "e.htm", "f.txt", "g.png", "h", ".hidden.md", ".git/x.md")
    assert await locations(DirectorySource(tmp_path)) == ["a/c.MARKDOWN", "a/d.html", "b.md", "e.htm", "f.txt"]


async def test_include_and_exclude_choose(tmp_path: Path) -> None:
    write(tmp_path, "guides/a.md", "guides/a.draft.md", "api/b.md", "c.md")
    source = DirectorySource(tmp_path, include=["guides/*", "c.md"], exclude=["*.draft.md"])
    assert await locations(source) == ["c.md", "guides/a.md"]


async def test_a_single_file_is_a_source(tmp_path: Path) -> None:
    write(tmp_path, "guide.md", "other.md")
    source = DirectorySource(tmp_path / "guide.md")
    assert (source.name, await locations(source)) == ("guide.md", ["guide.md"])


async def test_a_base_url_makes_the_locations_links(tmp_path: Path) -> None:
    write(tmp_path, "a/b.md")
    [file] = [file async for file in DirectorySource(tmp_path, base_url="https://docs.example.com/v2/").files()]
    assert (file.location, file.name) == ("https://docs.example.com/v2/a/b.md", "a/b.md")


async def test_loops_of_links_are_walked_once(tmp_path: Path) -> None:
    write(tmp_path, "a/b.md")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "0").symlink_to(tmp_path / "a")
    assert await locations(DirectorySource(tmp_path)) == ["a/b.md"]


async def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "secret/password.md", "docs/a.md")
    (tmp_path / "docs" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "docs" / "out.md").symlink_to(tmp_path / "secret" / "password.md")
    (tmp_path / "docs" / "dangling.md").symlink_to(tmp_path / "nothing.md")
    assert await locations(DirectorySource(tmp_path / "docs")) == ["a.md"]


async def test_a_link_inside_the_folder_is_a_file(tmp_path: Path) -> None:
    write(tmp_path, "a.md")
    (tmp_path / "b.md").symlink_to(tmp_path / "a.md")
    assert await locations(DirectorySource(tmp_path)) == ["a.md", "b.md"]


async def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path, "real/a.md")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert await locations(DirectorySource(tmp_path / "link")) == ["a.md"]


@pytest.mark.parametrize("name", ["nothing", "nothing.md", "image.png"])
async def test_what_is_not_there_or_no_document_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "image.png").write_bytes(b"x")
    with pytest.raises(SourceNotFound, match=name):
        await locations(DirectorySource(tmp_path / name))


async def test_a_folder_that_cannot_be_listed_is_an_error_and_no_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a.md", "locked/b.md")
    real = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceNotFound, match=r"locked.*Permission denied"):
        await locations(DirectorySource(tmp_path))


async def test_a_file_that_is_too_large_is_not_even_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.md").open("wb") as file:
        file.truncate(200_000_000)
    [huge] = [file async for file in DirectorySource(tmp_path).files()]
    with pytest.raises(DocumentUnreadable, match=r"200\.0 MB; at most 20\.0 MB"):
        huge.load()


async def test_a_name_that_is_no_text_can_be_listed_and_read(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.md")
    with open(path, "wb") as file:
        file.write(b"# Menu")
    [found] = [file async for file in DirectorySource(tmp_path).files()]
    assert found.location == "caf\ufffd.md"
    assert found.load() == b"# Menu"


def test_a_sources_name_can_be_part_of_a_documents_id(tmp_path: Path) -> None:
    assert DirectorySource(tmp_path / "guides").name == "guides"
    assert DirectorySource(tmp_path, name="v2:guides").name == "v2-guides"
    assert DirectorySource(Path("/")).name == "files"
    assert len(DirectorySource(tmp_path, name="x" * 500).name) == 200
