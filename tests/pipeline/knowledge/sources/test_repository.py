"""Git repositories as sources."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.errors import DeclarationError, SourceNotFound
from pipeline.knowledge.sources import Choice, Kit, SourceFile
from pipeline.knowledge.sources.git_command import is_address
from pipeline.knowledge.sources.repository import GitEntry, GitSource, known_link
from tests.pipeline.knowledge.support import World, open_world


class Repository:
    """A repository with a work tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
        command = ["git", *who, *arguments]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, **files: str) -> str:
        for name, text in files.items():
            path = self.folder / name.replace("__", "/").replace("_md", ".md")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "repository")
    repository.commit(docs__alerts_md="# Alerts\n\nFire.\n\n## Windows\n\nFive minutes.", README_md="# Read me\n\nNow.")
    return repository


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


LINK = "https://github.com/acme/product/blob/{commit}/{path}?plain=1#L{start}-L{end}"


def source(repository: Repository, tmp_path: Path, **options: object) -> GitSource:
    settings = {"name": "product", "cache": tmp_path / "cache", "link": LINK, **options}
    return GitSource(str(repository.folder), **settings)  # type: ignore[arg-type]


async def files(source: GitSource) -> list[SourceFile]:
    return [file async for file in source.files()]


async def test_a_passage_is_linked_to_its_lines_at_the_commit(
    repository: Repository, tmp_path: Path, world: World
) -> None:
    commit = repository.git("rev-parse", "HEAD")
    await world.syncer().sync(source(repository, tmp_path), tenant="shared")
    locations = {passage.text: passage.location for passage in await world.passages()}
    assert locations["Five minutes."] == (f"https://github.com/acme/product/blob/{commit}/docs/alerts.md?plain=1#L7-L7")


async def test_an_unchanged_file_is_not_read_again_and_a_changed_one_links_to_the_new_commit(
    repository: Repository, tmp_path: Path, world: World
) -> None:
    git_source = source(repository, tmp_path)
    first = repository.git("rev-parse", "HEAD")
    await world.syncer().sync(git_source, tenant="shared")
    second = repository.commit(README_md="# Read me\n\nLater.")
    read = await files(git_source)
    report = await world.syncer().sync(git_source, tenant="shared")
    assert (report.unchanged, report.changed, len(read)) == (1, 1, 2)
    commits = {passage.text: passage.location.split("/")[6] for passage in await world.passages()}
    assert (commits["Later."], commits["Fire."]) == (second, first)


async def test_a_file_that_was_moved_keeps_its_identity(repository: Repository, tmp_path: Path, world: World) -> None:
    await world.syncer().sync(source(repository, tmp_path), tenant="shared")
    repository.git("mv", "docs/alerts.md", "docs/alerting.md")
    repository.commit()
    report = await world.syncer().sync(source(repository, tmp_path), tenant="shared")
    assert (report.renamed, report.removed, report.embedded) == (1, 0, 0)


async def test_a_branch_and_paths_can_be_chosen(repository: Repository, tmp_path: Path) -> None:
    repository.git("checkout", "--quiet", "-b", "next")
    repository.commit(docs__new_md="# New")
    repository.git("checkout", "--quiet", "main")
    chosen = source(repository, tmp_path, ref="next", choice=Choice(["docs/*"], ["*alerts*"]))
    assert [file.name for file in await files(chosen)] == ["docs/new.md"]


async def test_links_and_submodules_are_left_out(repository: Repository, tmp_path: Path) -> None:
    (repository.folder / "secret.md").symlink_to("/etc/passwd")
    repository.commit()
    assert [file.name for file in await files(source(repository, tmp_path))] == ["README.md", "docs/alerts.md"]


async def test_without_a_known_host_the_location_is_the_path(repository: Repository, tmp_path: Path) -> None:
    [first, _] = await files(source(repository, tmp_path, link=""))
    assert (first.location, first.lines_url) == ("README.md", "")


async def test_nothing_that_the_repository_configures_is_run(repository: Repository, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    hook = repository.folder / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
    hook.chmod(0o755)
    repository.git("config", "core.fsmonitor", f"touch {mark}; false")
    repository.git("config", "uploadpack.packObjectsHook", f"touch {mark};")
    assert await files(source(repository, tmp_path))
    assert not mark.exists()


@pytest.mark.parametrize(
    "location",
    [
        "--upload-pack=touch /tmp/x",
        "ext::sh -c touch% /tmp/x",
        "git://example.com/x",
        "http://example.com/x",
        "ssh://-oProxyCommand=touch/x",
        "git@-oProxyCommand=x:y",
        "fd::17",
    ],
)
async def test_an_address_that_could_run_a_command_is_none(location: str, tmp_path: Path) -> None:
    assert not is_address(location)
    with pytest.raises(SourceNotFound, match="no repository"):
        await files(GitSource(location, name="x", cache=tmp_path))


@pytest.mark.parametrize("ref", ["--upload-pack=x", "a..b", "a b", "a:b", ""])
def test_a_ref_that_is_no_name_is_refused(ref: str, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="branch or tag"):
        GitSource("https://example.com/x", name="x", cache=tmp_path, ref=ref)
    with pytest.raises(DeclarationError, match="'x': ref"):
        GitEntry(name="x", kind="git", location="https://example.com/x", ref=ref).open(Kit())


async def test_what_git_says_is_told_without_passwords(tmp_path: Path, repository: Repository) -> None:
    with pytest.raises(SourceNotFound, match="nothing-there") as caught:
        await files(source(repository, tmp_path, ref="nothing-there"))
    assert "Nothing was changed" in str(caught.value)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://github.com/acme/product.git", "https://github.com/acme/product/blob/C/P?plain=1#L1-L2"),
        ("git@github.com:acme/product.git", "https://github.com/acme/product/blob/C/P?plain=1#L1-L2"),
        ("ssh://git@gitlab.acme.com:2222/a/b/c.git", "https://gitlab.acme.com/a/b/c/-/blob/C/P?plain=1#L1-2"),
        ("https://user:secret@bitbucket.org/acme/x", "https://bitbucket.org/acme/x/src/C/P#lines-1:2"),
        ("https://git.acme.com/x", ""),
        ("/some/path", ""),
    ],
)
def test_known_hosts_show_lines(location: str, expected: str) -> None:
    link = known_link(location)
    for name, value in {"{commit}": "C", "{path}": "P", "{start}": "1", "{end}": "2"}.items():
        link = link.replace(name, value)
    assert link == expected
