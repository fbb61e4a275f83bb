"""Thread modes that admins set for channels, in SQL."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, select, update

from bot.messages import Platform
from bot.store.base import SqlPart
from bot.store.database import store_errors
from bot.store.tables import ChannelModeRow
from bot.threads import ChannelMode, ThreadMode


class SqlModes(SqlPart):
    """Implements `bot.threads.ModeStore`. Raises `StoreUnavailable`."""

    async def modes(self, platform: Platform, workspace: str) -> Sequence[ChannelMode]:
        query = (
            select(*ChannelModeRow.__table__.columns)
            .where(ChannelModeRow.platform == platform.value, ChannelModeRow.workspace == workspace)
            .order_by(ChannelModeRow.changed_at.desc(), ChannelModeRow.conversation)
        )
        with store_errors():
            async with self._engine.connect() as connection:
                found = (await connection.execute(query)).all()
        return [
            ChannelMode(
                Platform(row.platform), row.workspace, row.conversation, row.tenant, ThreadMode(row.mode),
                row.changed_by, row.changed_at,
            )
            for row in found
        ]  # fmt: skip

    async def set_mode(self, mode: ChannelMode) -> None:
        changed = {
            "tenant": mode.tenant,
            "mode": mode.mode.value,
            "changed_by": mode.changed_by,
            "changed_at": mode.changed_at,
        }
        place = {"platform": mode.platform.value, "workspace": mode.workspace, "conversation": mode.conversation}
        here = _at(mode.platform, mode.workspace, mode.conversation)
        with store_errors():
            async with self._engine.begin() as connection:
                # The insert waits for whoever sets the same channel, so the later change wins.
                await connection.execute(self._insert(ChannelModeRow), place | changed)
                await connection.execute(update(ChannelModeRow).where(*here).values(**changed))

    async def unset_mode(self, platform: Platform, workspace: str, conversation: str) -> None:
        with store_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(ChannelModeRow).where(*_at(platform, workspace, conversation)))


def _at(platform: Platform, workspace: str, conversation: str) -> tuple[ColumnElement[bool], ...]:
    return (
        ChannelModeRow.platform == platform.value,
        ChannelModeRow.workspace == workspace,
        ChannelModeRow.conversation == conversation,
    )
