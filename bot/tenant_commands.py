"""What `promptai tenants check` and `tenants remove` do, as streams of JSON objects (see `bot.commands`)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.app import Core
from bot.errors import BotError, TenantUnknown
from bot.store import Installed, SqlRemoval
from bot.syncing import SOURCES_FOLDER
from pipeline.types import SHARED


async def check_tenants(core: Core, params: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:  # noqa: ARG001
    """Plant canaries where there are none and look for each as everybody else."""
    report = await core.isolation.check()
    yield {
        "event": "isolation",
        "tenants": list(report.tenants),
        "leaks": [{"reader": leak.reader, "owner": leak.owner, "place": leak.place} for leak in report.leaks],
        "blind": [{"tenant": tenant, "place": place} for tenant, place in report.blind],
    }


async def remove_tenant(core: Core, params: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
    """`tenant`: everything of it, then a look at whether anything is left. Safe to repeat after a crash.

    SQL first: from that moment nobody finds anything. Raises `BotError` where something is left.
    """
    tenant: str = params["tenant"]
    if tenant == SHARED:
        raise BotError("The shared documents are no tenant: remove them by syncing an empty folder (--allow-empty).")
    if tenant == core.bot.tenant:
        raise BotError(
            f"{tenant} is PROMPTAI_TENANT: every workspace that is not linked to another tenant is answered for it, so it"
            f" always exists. To forget all that it has, stop promptai and run: PROMPTAI_TENANT=nobody promptai tenants"
            f" remove {tenant}"
        )
    removal = SqlRemoval(core.engine)
    declared = tenant in await core.tenants.names()
    removed = await removal.remove(tenant)
    lost = dict(removed.lost)
    for kind, index in (("vectors", core.vectors), ("keywords", core.keywords)):
        if held := await index.count(tenant):
            lost[kind] = held
        await index.drop(tenant)
    if copies := await asyncio.to_thread(remove_copies, core.settings.data_dir, tenant):
        lost["copies of repositories"] = copies
    if not declared and not lost:
        raise TenantUnknown(f"There is no tenant {tenant!r}, and nothing of one. `promptai tenants list` shows all.")
    left = dict(await removal.left(tenant, removed.installations))
    left |= {kind: held for kind, held in await _indexed(core, tenant) if held}
    if left:
        things = ", ".join(f"{count} in {name}" for name, count in left.items())
        raise BotError(
            f"Of {tenant} something came back while it was removed: {things}. Stop its sources; run it again."
        )
    slack = {"removed": _named(removed.installations), "kept": _named(removed.kept)}
    yield {"event": "removed", "tenant": tenant, "lost": lost, "slack": slack}


def remove_copies(data_dir: Path, tenant: str) -> int:
    """Remove what sources keep of the tenant's documents in this process' data folder; returns how many. Blocking.

    Raises `BotError` for a name that leads elsewhere, and where something cannot be removed.
    """
    folder = data_dir / SOURCES_FOLDER / tenant
    if tenant in {"", ".", ".."} or folder.name != tenant:
        raise BotError(f"{tenant!r} cannot be the name of a tenant.")
    if not folder.is_dir():
        return 0
    try:
        copies = len(list(folder.iterdir()))
        shutil.rmtree(folder)
    except OSError as exc:
        raise BotError(
            f"The copies in {folder} cannot be removed ({exc.strerror}). Remove them, then run it again."
        ) from exc
    return copies


def _named(installations: Sequence[Installed]) -> list[dict[str, str]]:
    return [{"workspace": each.workspace, "name": each.name} for each in installations]


async def _indexed(core: Core, tenant: str) -> list[tuple[str, int]]:
    return [("vectors", await core.vectors.count(tenant)), ("keywords", await core.keywords.count(tenant))]
