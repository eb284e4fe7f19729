"""SQLite files that several processes open, also at the very moment when they are made."""

from __future__ import annotations

import sqlite3
import time

_PATIENCE_S = 30.0
_PAUSE_S = 0.01


def write_ahead(database: sqlite3.Connection) -> None:
    """Have readers go on while one writes, in this file from now on. Where another connection is just about to do the
    same, SQLite refuses at once, whatever its time-out is: so it is asked again. Raises sqlite3.OperationalError."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(_PAUSE_S)
