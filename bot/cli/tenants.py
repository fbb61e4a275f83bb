"""`promptai tenants …`."""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli import app
from bot.cli.common import Json, checked_tenant, command, err, fail, run, with_settings
from bot.messages import Platform
from bot.settings import BotSettings
from bot.tenancy import TenantLink, TrainingConsent
from pipeline.settings import PipelineSettings

if TYPE_CHECKING:
    from bot.store import Engine, SqlTenants

tenants_app = typer.Typer(no_args_is_help=True, help="The customers, and which of their workspaces ask.")
app.add_typer(tenants_app, name="tenants")

Name = Annotated[str, typer.Argument(help="The tenant's name: a-z, 0-9 and -.")]
Slack = Annotated[str | None, typer.Option(help="A Slack workspace's id (T…), or an organisation's (E…).")]
Teams = Annotated[str | None, typer.Option(help="A Microsoft Entra tenant's id.")]
SLACK_ID = re.compile(r"[TE][A-Z0-9]+")
ENTRA_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Decision(StrEnum):
    ON = "on"
    OFF = "off"


Channel = Annotated[str | None, typer.Option(help="Only this conversation of it (C…, for example of Slack Connect).")]


@tenants_app.command("add")
def add(name: Name) -> None:
    """Declare a tenant. Then sync its documents (`promptai sync --tenant NAME`) and link its workspaces."""

    async def work(tenants: SqlTenants) -> None:
        if not await tenants.add(checked_tenant(name)):
            fail(f"There is a tenant {name} already. `promptai tenants list` shows what is linked to it.")
        err.print(f"Added {name}.")

    _with_tenants(work)


@tenants_app.command("list")
def show(as_json: Json = False) -> None:
    """Show the tenants and what is linked to each."""

    async def work(engine: Engine, default: str) -> None:
        from bot.store import SqlConsents, SqlTenants

        tenants = SqlTenants(engine, default=default)
        links, decisions = await tenants.links(), await SqlConsents(engine, default=default).latest()
        for name in await tenants.names():
            own, decided = [link for link in links if link.tenant == name], decisions.get(name)
            if as_json:
                training = asdict(decided) if decided else None
                print(
                    json.dumps(
                        {"tenant": name, "links": [asdict(link) for link in own], "training": training}, default=str
                    )
                )
            else:
                print(
                    "\n".join(
                        [
                            name,
                            *(f"  {_place(link)}" for link in own),
                            *([f"  {_decision(decided)}"] if decided else []),
                        ]
                    )
                )

    _with_engine(work)


@tenants_app.command("link")
def link(name: Name, slack: Slack = None, teams: Teams = None, channel: Channel = None) -> None:
    """Say whose questions a workspace's, or one of its channels', are.

    Example: promptai tenants link acme --slack T0123456789
    """
    platform, workspace = _workspace(slack, teams)
    place = TenantLink(platform, workspace, channel, checked_tenant(name))

    async def work(tenants: SqlTenants) -> None:
        before = await tenants.link(place)
        moved = f" (was {before}'s)" if before not in (None, name) else ""
        err.print(f"{_place(place)} is {name}'s{moved}.")

    _with_tenants(work)


@tenants_app.command("unlink")
def unlink(slack: Slack = None, teams: Teams = None, channel: Channel = None) -> None:
    """Make a workspace or channel nobody's: the bot then answers nothing there."""
    platform, workspace = _workspace(slack, teams)

    async def work(tenants: SqlTenants) -> None:
        if not await tenants.unlink(platform, workspace, channel):
            fail("That place is not linked. `promptai tenants list` shows all that are.")
        err.print("Unlinked.")

    _with_tenants(work)


@tenants_app.command("consent")
def consent(
    name: Name,
    training: Annotated[Decision, typer.Option(help="May the tenant's ratings train a model? Until it says on: no.")],
    by: Annotated[str | None, typer.Option(help="Who decided. Default: who runs this.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only questions asked from this day on (UTC).")] = None,
) -> None:
    """Record whether a tenant's questions, answers and ratings may become training data. Off leaves all of them out.

    Example: promptai tenants consent acme --training on --by "J. Doe, Acme, contract of 2026-11-01"
    """
    covers_from = since.replace(tzinfo=UTC) if since else None
    if training is Decision.OFF and since:
        fail("--since goes with --training on: off leaves everything out of the next data set.")

    async def work(engine: Engine, default: str) -> None:
        from bot.store import SqlConsents

        decided = await SqlConsents(engine, default=default).decide(
            checked_tenant(name), given=training is Decision.ON, decided_by=by or _whoever(), covers_from=covers_from
        )
        err.print(f"{name}: {_decision(decided)}.", soft_wrap=True)

    _with_engine(work)


@tenants_app.command("check")
def check(as_json: Json = False) -> None:
    """Prove that tenants are kept apart: nobody may find another one's canary. Exit status 1 on a leak."""
    from bot.terminal import show_isolation

    run(
        with_settings(
            lambda bot, settings: show_isolation(command(bot, settings, "check_tenants", {}), as_json=as_json)
        )
    )


@tenants_app.command("remove")
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove everything of a tenant: documents, both indexes, questions, answers, ratings, links and Slack's tokens.

    The token of a Slack workspace that others are linked to as well stays. There is no way back.
    """
    from bot.terminal import show_removed

    params = {"tenant": checked_tenant(name)}
    if not yes:
        typer.confirm(f"Remove {name} with all its documents, questions, answers and ratings?", abort=True, err=True)
    run(
        with_settings(
            lambda bot, settings: show_removed(command(bot, settings, "remove_tenant", params), as_json=as_json)
        )
    )


def _workspace(slack: str | None, teams: str | None) -> tuple[Platform, str]:
    if bool(slack) == bool(teams):
        fail("Give one place: --slack T… or --teams ID.")
    if slack:
        if not SLACK_ID.fullmatch(slack):
            fail(f"--slack {slack!r}: a workspace's id looks like T0123456789, an organisation's like E0123456789.")
        return Platform.SLACK, slack
    # Entra writes its ids in either case; here they are compared in lower case.
    found = (teams or "").lower()
    if not ENTRA_ID.fullmatch(found):
        fail(f"--teams {teams!r}: an Entra tenant's id looks like 00000000-0000-0000-0000-000000000000.")
    return Platform.TEAMS, found


def _place(link: TenantLink) -> str:
    return f"{link.platform.value} {link.workspace}{f' channel {link.conversation}' if link.conversation else ''}"


def _decision(decided: TrainingConsent) -> str:
    covers = f", of questions since {decided.covers_from:%Y-%m-%d}" if decided.covers_from else ""
    return f"training {'on' if decided.given else 'off'}{covers} (by {decided.decided_by}, {decided.at:%Y-%m-%d})"


def _whoever() -> str:
    """Who runs this, as the system knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"


def _with_tenants(work: Callable[[SqlTenants], Awaitable[None]]) -> None:
    from bot.store import SqlTenants

    _with_engine(lambda engine, default: work(SqlTenants(engine, default=default)))


def _with_engine(work: Callable[[Engine, str], Awaitable[None]]) -> None:
    """Run with the database and the name of the tenant that needs no declaring."""
    from bot.parts import open_store

    async def with_store(bot: BotSettings, settings: PipelineSettings) -> None:
        async with open_store(settings) as (engine, _store):
            await work(engine, bot.tenant)

    run(with_settings(with_store))
