"""The ledger's SQLite file: its layout, how it is opened, and transactions that say what the disk refused."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from termrag.errors import LibraryMismatch, StoreUnavailable
from termrag.wal import write_ahead

LEDGER_FILE = "ledger.sqlite"

_MIGRATIONS = (
    """
    CREATE TABLE documents (
        id TEXT PRIMARY KEY,
        path BLOB NOT NULL UNIQUE,         -- bytes, as the file system has them
        state TEXT NOT NULL,
        device INTEGER NOT NULL DEFAULT 0, inode INTEGER NOT NULL DEFAULT 0,
        size INTEGER NOT NULL DEFAULT 0, modified_ns INTEGER NOT NULL DEFAULT 0,
        content_hash TEXT NOT NULL DEFAULT '',
        recipe TEXT NOT NULL DEFAULT '',   -- versions of reader and chunker
        media_type TEXT NOT NULL DEFAULT '',
        title TEXT NOT NULL DEFAULT '', author TEXT NOT NULL DEFAULT '', created TEXT NOT NULL DEFAULT '',
        language TEXT NOT NULL DEFAULT '',
        pages INTEGER NOT NULL DEFAULT 0, chunks INTEGER NOT NULL DEFAULT 0,
        tags TEXT NOT NULL DEFAULT '[]',
        error TEXT NOT NULL DEFAULT '', hint TEXT NOT NULL DEFAULT '',
        warnings TEXT NOT NULL DEFAULT '[]',
        indexed_at REAL NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX documents_by_inode ON documents (inode);
    CREATE INDEX documents_by_content ON documents (content_hash);
    CREATE INDEX documents_by_state ON documents (state) WHERE state != 'indexed';
    CREATE TABLE roots (path BLOB PRIMARY KEY) STRICT;
    CREATE TABLE texts (id TEXT PRIMARY KEY REFERENCES documents ON DELETE CASCADE, text TEXT NOT NULL) STRICT;
    """,
    """
    CREATE TABLE watched (
        path BLOB PRIMARY KEY,
        include TEXT NOT NULL DEFAULT '[]', exclude TEXT NOT NULL DEFAULT '[]',
        added_at REAL NOT NULL,
        trouble TEXT NOT NULL DEFAULT '',  -- why its files cannot be seen now
        held INTEGER NOT NULL DEFAULT 0    -- deletions that wait for a second sweep
    ) STRICT;
    CREATE TABLE retries (
        path BLOB PRIMARY KEY,
        attempts INTEGER NOT NULL,
        next_at REAL NOT NULL,             -- seconds since the epoch
        size INTEGER NOT NULL, modified_ns INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE watcher (one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL) STRICT;
    """,
    # `unembedded` chunks of a document have no vector yet.
    """
    ALTER TABLE documents ADD COLUMN unembedded INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX documents_unembedded ON documents (indexed_at) WHERE unembedded > 0;
    """,
    # Each search asks for the languages; the table itself holds twenty times as much.
    """
    CREATE INDEX documents_by_language ON documents (state, language, chunks);
    """,
)


def open_database(folder: Path) -> sqlite3.Connection:
    """The ledger of a library, made or brought up to date where needed. Raises StoreUnavailable, LibraryMismatch."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / LEDGER_FILE
    try:
        _create(file)
        database = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
        _prepare(database)
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"the ledger {file} cannot be opened: {error}", "termrag doctor") from error
    return database


def state_of(folder: Path) -> tuple[int, ...]:
    """Another value after every change of the ledger, for whoever remembers what he has read; opens nothing."""
    state: list[int] = []
    for name in (LEDGER_FILE, f"{LEDGER_FILE}-wal"):
        with suppress(FileNotFoundError):
            about = (folder / name).stat()
            if about.st_size:  # an empty log comes and goes with readers
                state += (about.st_mtime_ns, about.st_size)
    return tuple(state)


def copy_out(database: sqlite3.Connection, file: Path) -> None:
    """Copy an open database to a new file, as it is at one moment."""
    try:
        _create(file)
        with closing(sqlite3.connect(file)) as copy:
            database.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # the copy is one file
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"the ledger cannot be copied to {file}: {error}", "Free some disk space.") from error


def copy_in(database: sqlite3.Connection, file: Path) -> None:
    """Make an open database equal to a copy, brought up to date where it is older."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as copy:
            if _version(copy) > len(_MIGRATIONS):
                raise LibraryMismatch(f"{file} was written by a newer termrag", "pip install --upgrade termrag")
            if copy.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise StoreUnavailable(f"the ledger {file} is damaged", "Take another backup.")
            copy.backup(database)
        _prepare(database)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the ledger {file} cannot be read: {error}", "Take another backup.") from error


def _create(file: Path) -> None:
    """Make the file private before SQLite does. One that is there is not touched: to close any descriptor of it would
    drop the locks of this process's other connections. Source: sqlite.org/howtocorrupt.html, 2.2."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, on the disk when it ends. Raises StoreUnavailable where the disk refuses."""
    try:
        with closing(database.execute("BEGIN IMMEDIATE")):
            yield
        database.execute("COMMIT")
    except BaseException as error:
        if database.in_transaction:
            database.execute("ROLLBACK")
        if isinstance(error, sqlite3.OperationalError):
            raise StoreUnavailable(f"the ledger cannot be written: {error}", "termrag doctor") from error
        raise


def _prepare(database: sqlite3.Connection) -> None:
    write_ahead(database)
    database.execute("PRAGMA synchronous = FULL")  # an intent must outlive a power cut before the store commits
    database.execute("PRAGMA foreign_keys = ON")
    version = _version(database)
    if version > len(_MIGRATIONS):
        raise LibraryMismatch(
            f"the library was written by a newer termrag (layout {version})", "pip install --upgrade termrag"
        )
    if version == len(_MIGRATIONS):
        return
    with transaction(database):
        database.execute("CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied_at REAL)")
        for number in range(_version(database) + 1, len(_MIGRATIONS) + 1):
            for statement in _MIGRATIONS[number - 1].split(";\n"):
                database.execute(statement)
            database.execute("INSERT INTO migrations VALUES (?, ?)", (number, time.time()))


def _version(database: sqlite3.Connection) -> int:
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone():
        return 0
    return int(database.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0])
