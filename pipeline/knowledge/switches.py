"""Whether what readers may see has changed since: one number, asked for each question, instead of each passage.

In SQLite, triggers replace the number within each transaction that changes a visible passage, or makes one visible or
invisible: whoever writes, in whichever process. Who reads the same number twice has seen the same passages. PostgreSQL has
no such number: all syncs that switch at the same time would wait for its row.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import DDL, Engine, event

from pipeline.knowledge.tables import PassageRow, SwitchRow

SQLITE_TRIGGERS = (
    "CREATE TRIGGER passages_insert_switches AFTER INSERT ON passages WHEN new.visible"
    " BEGIN UPDATE switches SET number = random(); END",
    # but not which sync or embedder a passage was last touched by: no reader sees that
    "CREATE TRIGGER passages_update_switches AFTER UPDATE OF tenant, id, document_id, location, title, heading_path, text,"
    " position, visible, language, release, fold ON passages WHEN old.visible OR new.visible"
    " BEGIN UPDATE switches SET number = random(); END",
    "CREATE TRIGGER passages_delete_switches AFTER DELETE ON passages WHEN old.visible"
    " BEGIN UPDATE switches SET number = random(); END",
)
SQLITE_FIRST_NUMBER = "INSERT INTO switches (id, number) VALUES (1, random())"


for _row, _statements in ((SwitchRow, (SQLITE_FIRST_NUMBER,)), (PassageRow, SQLITE_TRIGGERS)):
    for _statement in _statements:
        event.listen(_row.__table__, "after_create", DDL(_statement).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]


class Switches:
    """Reads the number of a SQLite file by a connection of its own, in the caller's thread.

    That takes some 20 microseconds and never waits: where the file is locked there is no answer. To have another thread
    read it takes more than ten times as long.
    """

    def __init__(self, engine: Engine) -> None:
        self._file = _sqlite_file(engine)
        self._connection: sqlite3.Connection | None = None
        event.listen(engine, "engine_disposed", lambda _engine: self._close())

    def number(self) -> int | None:
        """The present number; None where nobody can say: no SQLite, no such table yet, or locked this instant."""
        if self._file is None:
            return None
        try:
            if self._connection is None:
                self._connection = self._connect(self._file)
            # all rows: a cursor that is not at its end would keep the file's log from being folded in
            found = self._connection.execute("SELECT number FROM switches").fetchall() if self._connection else []
        except sqlite3.Error:
            return None
        return int(found[0][0]) if found else None

    @staticmethod
    def _connect(file: Path) -> sqlite3.Connection | None:
        """None where the triggers are missing: a number that nobody changes says nothing."""
        if not file.is_file():
            return None
        connection = sqlite3.connect(file, timeout=0, check_same_thread=False)
        triggers = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'passages'"
        try:
            complete = connection.execute(triggers).fetchall() == [(len(SQLITE_TRIGGERS),)]
        except sqlite3.Error:
            complete = False
        if complete:
            return connection
        connection.close()
        return None

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _sqlite_file(engine: Engine) -> Path | None:
    name = engine.url.database if engine.dialect.name == "sqlite" else None
    return None if not name or name.startswith((":", "file:")) else Path(name)
