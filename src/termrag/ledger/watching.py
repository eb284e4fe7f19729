"""What watching remembers: the folders, the files to be tried again, and what the watcher last said of itself."""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from termrag.folders import FoundFile
from termrag.ledger.database import transaction
from termrag.watchstate import WatchedFolder, WatchState, WatchStatus

RETRY_AFTER_S = (60.0, 300.0, 1800.0)


@dataclass(frozen=True, slots=True)
class Retry:
    """A file that failed `attempts` times and is tried again at `next_at`; infinity: when it changes."""

    path: str
    attempts: int
    next_at: float


class WatchBook:
    """The part of an open ledger that watching uses."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    # --- folders -------------------------------------------------------------------------------------------------

    def folders(self) -> list[WatchedFolder]:
        """By path."""
        rows = self._db.execute("SELECT path, include, exclude, added_at, trouble, held FROM watched ORDER BY path")
        return [
            WatchedFolder(os.fsdecode(path), tuple(json.loads(include)), tuple(json.loads(exclude)), *rest)
            for path, include, exclude, *rest in rows
        ]

    def add(self, path: str, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        """Remember a folder; again, with other patterns, replaces them."""
        with transaction(self._db):
            self._db.execute(
                "INSERT INTO watched (path, include, exclude, added_at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (path) DO UPDATE SET include = excluded.include, exclude = excluded.exclude",
                (os.fsencode(path), json.dumps(list(include)), json.dumps(list(exclude)), time.time()),
            )

    def drop(self, path: str) -> bool:
        """Forget a folder; its documents stay. False if it was not watched."""
        with transaction(self._db):
            return self._db.execute("DELETE FROM watched WHERE path = ?", (os.fsencode(path),)).rowcount > 0

    def note_trouble(self, troubles: Iterable[tuple[str, str]]) -> None:
        """(folder, reason); an empty reason means that all is well again."""
        with transaction(self._db):
            self._db.executemany(
                "UPDATE watched SET trouble = ? WHERE path = ?",
                [(reason, os.fsencode(path)) for path, reason in troubles],
            )

    def note_held(self, path: str, count: int) -> None:
        """How many deletions of a folder wait for a second sweep; 0 for none."""
        with transaction(self._db):
            self._db.execute("UPDATE watched SET held = ? WHERE path = ?", (count, os.fsencode(path)))

    # --- files to be tried again ---------------------------------------------------------------------------------

    def failed(self, files: Iterable[FoundFile]) -> None:
        """Note one more failure of each file; one that has changed since begins anew."""
        with transaction(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO retries VALUES (?, ?, ?, ?, ?)", [self._one_more(each) for each in files]
            )

    def _one_more(self, file: FoundFile) -> tuple[bytes, int, float, int, int]:
        path = os.fsencode(file.path)
        row = self._db.execute(
            "SELECT attempts FROM retries WHERE path = ? AND size = ? AND modified_ns = ?",
            (path, file.size, file.modified_ns),
        ).fetchone()
        attempts = (row[0] if row else 0) + 1
        wait_s = RETRY_AFTER_S[attempts - 1] if attempts <= len(RETRY_AFTER_S) else float("inf")
        return path, attempts, time.time() + wait_s, file.size, file.modified_ns

    def succeeded(self, paths: Iterable[str]) -> None:
        """Forget the failures of files that were read, or are gone."""
        values = [(os.fsencode(path),) for path in paths]
        if values and self._db.execute("SELECT 1 FROM retries LIMIT 1").fetchone():
            with transaction(self._db):
                self._db.executemany("DELETE FROM retries WHERE path = ?", values)

    def retries(self) -> list[Retry]:
        """The soonest first."""
        rows = self._db.execute("SELECT path, attempts, next_at FROM retries ORDER BY next_at")
        return [Retry(os.fsdecode(path), attempts, next_at) for path, attempts, next_at in rows]

    # --- the watcher of itself -----------------------------------------------------------------------------------

    def write_status(self, status: WatchStatus) -> None:
        """`folders` are not written: they stand in a table of their own."""
        values = dataclasses.asdict(dataclasses.replace(status, folders=()))
        with transaction(self._db):
            self._db.execute("INSERT OR REPLACE INTO watcher VALUES (1, ?)", (json.dumps(values),))

    def status(self) -> WatchStatus:
        """What was last written, with the folders as they are now; whether the process is alive is not asked."""
        row = self._db.execute("SELECT state FROM watcher").fetchone()
        values = json.loads(row[0]) if row else {}
        values["state"] = WatchState(values.get("state", WatchState.OFF))
        return WatchStatus(**{**values, "folders": tuple(self.folders())})
