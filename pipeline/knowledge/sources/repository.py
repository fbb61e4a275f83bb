"""A Git repository, read from its objects: there is no work tree, and nothing of it is ever run."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

from pipeline.errors import SourceNotFound
from pipeline.knowledge.convert import MAX_BYTES, readable, too_large
from pipeline.knowledge.sources.base import Choice, SourceFile, clean_name
from pipeline.knowledge.sources.entry import Entry, Kit
from pipeline.knowledge.sources.git_command import git, is_address

_REF = re.compile(r"(?!.*\.\.)[A-Za-z0-9][\w./-]*")
_HEAD = "refs/promptai/head"
_FILES = frozenset({b"100644", b"100755"})
"""Modes of files; links and submodules are left out."""
_LINKS = {
    "github": "{repository}/blob/{commit}/{path}?plain=1#L{start}-L{end}",
    "gitlab": "{repository}/-/blob/{commit}/{path}?plain=1#L{start}-{end}",
    "bitbucket": "{repository}/src/{commit}/{path}#lines-{start}:{end}",
}


@dataclass(frozen=True, slots=True)
class _Blob:
    path: str
    id: str
    size: int


class GitSource:
    """Documents at the tip of `ref`; passages are linked to their lines at that commit.

    An unchanged file is recognised by its blob, without being read, and keeps the link to the commit it was read at.
    """

    def __init__(
        self,
        location: str,
        *,
        name: str,
        cache: Path,
        ref: str = "HEAD",
        choice: Choice | None = None,
        link: str = "",
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """`location`: an address, or the path of a repository. `link`: see `GitEntry`."""
        if not _REF.fullmatch(ref):
            raise SourceNotFound(f"{ref!r} cannot be the name of a branch or tag.")
        self.name = clean_name(name)
        self.kind = "git"
        self._location = location
        self._ref = ref
        self._folder = cache / f"{self.name}-{hashlib.sha256(location.encode()).hexdigest()[:12]}.git"
        self._choice = choice or Choice()
        self._link = link or known_link(location)
        self._max_bytes = max_bytes

    async def files(self) -> AsyncIterator[SourceFile]:
        commit, blobs = await asyncio.to_thread(self._fetch)
        for blob in blobs:
            if readable(blob.path) and self._choice.wants(blob.path):
                yield self._file(commit, blob)

    def _fetch(self) -> tuple[str, list[_Blob]]:
        remote = is_address(self._location)
        if not remote and not Path(self._location).is_dir():
            raise SourceNotFound(
                f"{self._location!r} is no repository: write https://…, ssh://…, git@host:path or a folder's path."
            )
        if not (self._folder / "HEAD").exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            git(self._folder, "init", "--quiet", "--bare")
        address = self._location if remote else Path(self._location).resolve().as_uri()
        refs = f"+{self._ref}:{_HEAD}"
        options = ("--quiet", "--no-tags", "--depth=1", "--no-recurse-submodules", "--no-write-fetch-head")
        git(self._folder, "fetch", *options, "--", address, refs, remote=remote, local_remote=not remote)
        commit = git(self._folder, "rev-parse", "--verify", f"{_HEAD}^{{commit}}").decode().strip()
        return commit, _blobs(git(self._folder, "ls-tree", "-r", "-z", "-l", "--full-tree", commit))

    def _file(self, commit: str, blob: _Blob) -> SourceFile:
        lines_url = self._link.replace("{commit}", commit).replace("{path}", quote(blob.path))
        location = lines_url.partition("#")[0].removesuffix("?plain=1") or blob.path
        return SourceFile(
            location=location,
            name=blob.path,
            load=partial(self._load, blob),
            key=blob.path,
            stamp=blob.id,
            lines_url=lines_url if "{start}" in lines_url else "",
        )

    def _load(self, blob: _Blob) -> bytes:
        if blob.size > self._max_bytes:
            raise too_large(blob.size, self._max_bytes)
        return git(self._folder, "cat-file", "blob", blob.id)


def known_link(location: str) -> str:
    """Where GitHub, GitLab and Bitbucket show lines of a file; empty for other hosts, and for paths."""
    if not is_address(location):
        return ""
    if "://" not in location:  # git@host:path
        user_host, _, path = location.partition(":")
        location = f"https://{user_host.rpartition('@')[2]}/{path}"
    parts = urlsplit(location)
    host = parts.hostname or ""
    repository = f"https://{host}/{parts.path.strip('/').removesuffix('.git')}"
    form = next((form for name, form in _LINKS.items() if name in host.split(".")), "")
    return form.replace("{repository}", repository)


def _blobs(listing: bytes) -> list[_Blob]:
    found = []
    for line in listing.split(b"\0"):
        head, _, path = line.partition(b"\t")
        if path and (fields := head.split())[0] in _FILES:
            found.append(_Blob(path.decode("utf-8", "replace"), fields[2].decode(), int(fields[3])))
    return found


class GitEntry(Entry):
    """`kind = "git"`."""

    ref: str = "HEAD"
    """A branch or tag; `HEAD`: the default branch."""
    link: str = ""
    """For other hosts: a URL with `{commit}`, `{path}`, `{start}` and `{end}`."""

    def open(self, kit: Kit) -> GitSource:
        location = self.location if is_address(self.location) else str(self.path(kit))
        if "::" in self.location or self.location.startswith("-"):
            raise self.wrong("location", "write https://…, ssh://…, git@host:path or a folder's path")
        if not _REF.fullmatch(self.ref):
            raise self.wrong("ref", f"{self.ref!r} cannot be the name of a branch or tag")
        return GitSource(
            location,
            name=self.name,
            cache=kit.cache / self.tenant,
            ref=self.ref,
            choice=self.choice,
            link=self.link,
        )
