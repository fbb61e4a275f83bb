"""Where the Slack app is installed, with its tokens encrypted at rest; and installations that are under way."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Row, delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.database import insert_or_ignore, store_errors
from bot.store.encryption import Cipher
from bot.store.slack_tables import SlackInstallationRow, SlackStateRow

STATE_LIFE = timedelta(minutes=10)
"""How long somebody may take on Slack's page."""


@dataclass(frozen=True, slots=True)
class SlackInstallation:
    """The app in one workspace, or in a whole organisation."""

    enterprise_id: str
    """`E…`, empty outside Enterprise Grid."""
    team_id: str
    """`T…`, empty for an installation in a whole organisation."""
    name: str
    """The workspace's or organisation's name."""
    bot_user_id: str
    bot_id: str
    """Empty where Slack does not say."""
    token: str = field(repr=False)
    """The bot token, `xoxb-…`."""
    scopes: tuple[str, ...]
    """What the token may do."""
    installed_by: str
    """The person's user id."""
    installed_at: datetime
    """Aware, UTC."""

    @property
    def workspace(self) -> str:
        """The id that rate budgets and links to tenants go by."""
        return self.team_id or self.enterprise_id


class SqlInstallations:
    """Installations in SQL. Raises `StoreUnavailable`, and `SettingsError` where no key fits a stored token."""

    def __init__(self, engine: AsyncEngine, cipher: Cipher) -> None:
        self._engine = engine
        self._cipher = cipher

    async def save(self, installation: SlackInstallation) -> None:
        """Store an installation; one that was there before is replaced."""
        row = {name: getattr(installation, name) for name in SlackInstallation.__slots__}
        row |= {"token": self._cipher.encrypt(installation.token), "scopes": list(installation.scopes)}
        key = {name: row.pop(name) for name in ("enterprise_id", "team_id")}
        with store_errors():
            async with self._engine.begin() as connection:
                if installation.team_id:
                    # A workspace that joined an organisation since keeps one installation.
                    stale = delete(SlackInstallationRow).where(
                        SlackInstallationRow.team_id == installation.team_id,
                        SlackInstallationRow.enterprise_id != installation.enterprise_id,
                    )
                    await connection.execute(stale)
                await connection.execute(insert_or_ignore(self._engine, SlackInstallationRow), {**key, **row})
                await connection.execute(update(SlackInstallationRow).filter_by(**key).values(**row))

    async def find(self, enterprise_id: str, team_id: str) -> SlackInstallation | None:
        """The workspace's own installation, else its organisation's."""
        table = SlackInstallationRow
        mine = (table.team_id == team_id) & (table.team_id != "")
        organisation = (table.enterprise_id == enterprise_id) & (table.enterprise_id != "") & (table.team_id == "")
        query = select(table.__table__).where(mine | organisation).order_by(table.team_id.desc()).limit(1)
        with store_errors():
            async with self._engine.connect() as connection:
                row = (await connection.execute(query)).one_or_none()
        return None if row is None else self._installation(row)

    async def all(self) -> Sequence[SlackInstallation]:
        """Every installation, by name."""
        with store_errors():
            async with self._engine.connect() as connection:
                query = select(SlackInstallationRow.__table__).order_by(SlackInstallationRow.name)
                return [self._installation(row) for row in (await connection.execute(query)).all()]

    async def remove(self, enterprise_id: str, team_id: str, *, before: datetime) -> bool:
        """Forget an installation made before `before`: an event that is late must not undo a new one."""
        statement = (
            delete(SlackInstallationRow)
            .filter_by(team_id=team_id, **({} if team_id else {"enterprise_id": enterprise_id}))
            .where(SlackInstallationRow.installed_at < before)
        )
        with store_errors():
            async with self._engine.begin() as connection:
                return (await connection.execute(statement)).rowcount > 0

    async def renew_tokens(self) -> int:
        """Encrypt every token with the first key; returns how many. All or none."""
        table = SlackInstallationRow
        with store_errors():
            async with self._engine.begin() as connection:
                rows = (await connection.execute(select(table.__table__).with_for_update())).all()
                for row in rows:
                    renew = update(table).filter_by(enterprise_id=row.enterprise_id, team_id=row.team_id)
                    await connection.execute(renew.values(token=self._cipher.renew(row.token)))
        return len(rows)

    def _installation(self, row: Row[tuple[object, ...]]) -> SlackInstallation:
        values = dict(row._mapping)
        return SlackInstallation(
            **{**values, "token": self._cipher.decrypt(values["token"]), "scopes": tuple(values["scopes"])}
        )


class SqlOAuthStates:
    """The `state` of installations that are under way: any replica may redeem one, once, for ten minutes."""

    def __init__(
        self,
        engine: AsyncEngine,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_state: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        self._engine = engine
        self._now = now
        self._new_state = new_state

    async def issue(self) -> str:
        """A new state; expired ones are cleared away."""
        state, now = self._new_state(), self._now()
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(SlackStateRow).where(SlackStateRow.expires_at <= now))
                row = {"digest": _digest(state), "expires_at": now + STATE_LIFE}
                await connection.execute(insert_or_ignore(self._engine, SlackStateRow), row)
        return state

    async def redeem(self, state: str) -> bool:
        """True once, for a state that was issued and has not expired."""
        mine = delete(SlackStateRow).where(
            SlackStateRow.digest == _digest(state), SlackStateRow.expires_at > self._now()
        )
        with store_errors():
            async with self._engine.begin() as connection:
                return (await connection.execute(mine)).rowcount == 1


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()
