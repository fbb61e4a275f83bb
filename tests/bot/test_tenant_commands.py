"""What a tenant leaves on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.errors import BotError
from bot.tenant_commands import remove_copies


def test_copies_of_a_tenant_s_repositories_go_with_it_and_others_stay(tmp_path: Path) -> None:
    for tenant in ("acme", "umbrella"):
        (tmp_path / "sources" / tenant / "docs-1.git").mkdir(parents=True)
        (tmp_path / "sources" / tenant / "docs-1.git" / "HEAD").write_text("ref: refs/heads/main")
    assert remove_copies(tmp_path, "acme") == 1
    assert [folder.name for folder in (tmp_path / "sources").iterdir()] == ["umbrella"]
    assert remove_copies(tmp_path, "acme") == 0


@pytest.mark.parametrize("tenant", ["", ".", "..", "../..", "a/b", "/etc"])
def test_a_name_that_leads_elsewhere_removes_nothing(tmp_path: Path, tenant: str) -> None:
    (tmp_path / "sources" / "a" / "b").mkdir(parents=True)
    with pytest.raises(BotError, match="name of a tenant"):
        remove_copies(tmp_path, tenant)
    assert (tmp_path / "sources" / "a" / "b").is_dir()
