"""The file of conversations: its layout and how it is opened; WAL, so that readers never wait for a writer."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from termrag.errors import LibraryMismatch, StoreUnavailable
from termrag.wal import write_ahead

_BUSY_S = 10.0

_MIGRATIONS = [
    """
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY, title TEXT NOT NULL DEFAULT '', is_named INTEGER NOT NULL DEFAULT 0,
        created_at REAL NOT NULL, changed_at REAL NOT NULL, deleted_at REAL NOT NULL DEFAULT 0,
        tip TEXT NOT NULL DEFAULT '', model TEXT NOT NULL DEFAULT '');
    CREATE INDEX sessions_by_change ON sessions (changed_at);
    CREATE TABLE turns (
        id TEXT PRIMARY KEY, session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
        parent_id TEXT NOT NULL DEFAULT '', number INTEGER NOT NULL, question TEXT NOT NULL, query TEXT NOT NULL,
        state TEXT NOT NULL, error TEXT NOT NULL DEFAULT '', asked_at REAL NOT NULL, changed_at REAL NOT NULL,
        writer INTEGER NOT NULL DEFAULT 0, text TEXT NOT NULL DEFAULT '', answer TEXT NOT NULL DEFAULT '',
        settings TEXT NOT NULL DEFAULT '{}');
    CREATE INDEX turns_by_session ON turns (session_id, asked_at);
    CREATE INDEX turns_by_parent ON turns (session_id, parent_id);
    CREATE TABLE citations (
        turn_id TEXT NOT NULL REFERENCES turns ON DELETE CASCADE, number INTEGER NOT NULL,
        document_id TEXT NOT NULL, path TEXT NOT NULL, content_hash TEXT NOT NULL, quote TEXT NOT NULL);
    CREATE INDEX citations_by_turn ON citations (turn_id);
    CREATE VIRTUAL TABLE words USING fts5 (
        turn_id UNINDEXED, session_id UNINDEXED, question, answer, tokenize = 'unicode61 remove_diacritics 2')
    """,
]


def open_database(file: Path) -> sqlite3.Connection:
    """The file, made if there is none: private, and of the newest layout. Raises StoreUnavailable, LibraryMismatch."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        database = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"{file} cannot be opened: {error}", "termrag doctor") from error
    try:
        _prepare(database)
    except sqlite3.Error as error:
        database.close()
        raise StoreUnavailable(f"{file} cannot be read: {error}", f"Put it aside: mv {file} {file}.old") from error
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. Raises StoreUnavailable where the disk refuses."""
    try:
        with closing(database.execute("BEGIN IMMEDIATE")):
            yield
        database.execute("COMMIT")
    except BaseException as error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        if isinstance(error, sqlite3.OperationalError):
            raise StoreUnavailable(f"the conversation cannot be kept: {error}", "termrag doctor") from error
        raise


def _prepare(database: sqlite3.Connection) -> None:
    write_ahead(database)
    # A killed process loses nothing so, a power cut at most the last moment.
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("PRAGMA foreign_keys = ON")
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version > len(_MIGRATIONS):
        raise LibraryMismatch("the conversations were written by a newer termrag", "pip install --upgrade termrag")
    if version == len(_MIGRATIONS):
        return
    with transaction(database):
        version = int(database.execute("PRAGMA user_version").fetchone()[0])
        for number in range(version + 1, len(_MIGRATIONS) + 1):
            for statement in _MIGRATIONS[number - 1].split(";\n"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {number}")
