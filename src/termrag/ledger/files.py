"""What the ingest knows of files.

One row per document: where its file lies, what `stat` said, what its bytes hash to, how far it got. The order of every
change is: intent into the ledger, then the store, then the outcome into the ledger; a row that is pending or removing
while nobody holds the lock was cut short, and the next run does it again under the same id.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Self

from termrag.errors import NotFound
from termrag.globs import glob_matcher
from termrag.ledger.database import LEDGER_FILE, copy_in, copy_out, open_database, state_of, transaction
from termrag.ledger.lock import lock_holder, write_lock
from termrag.ledger.watching import WatchBook
from termrag.records import Document, DocumentState

_WAITING = "unembedded > 0 AND state = 'indexed'"

_COLUMNS = (
    "id, path, state, size, modified_ns, content_hash, media_type, title, author, created, language, pages, chunks, "
    "tags, error, hint, warnings, indexed_at, unembedded"
)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What tells whether a file must be read again. `recipe` is empty where it is unknown (a rebuilt ledger); `inode`
    is negative where the bytes are to be compared whatever size and time say, and 0 where nothing is known of it."""

    id: str
    path: str
    state: DocumentState
    device: int
    inode: int
    size: int
    modified_ns: int
    content_hash: str
    recipe: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Documents by state; `chunks` are those of the indexed ones, of which `unembedded` documents lack vectors."""

    indexed: int
    failed: int
    pending: int
    chunks: int
    unembedded: int = 0


@dataclass(frozen=True, slots=True)
class Overview:
    """What each search asks: the languages of the indexed documents, most frequent first, the unknown one left out, and
    whether any of them lacks vectors."""

    languages: tuple[str, ...]
    lacks_vectors: bool


class Ledger:
    """One open ledger. `folder` is the library's; it is made private if it is not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._db = open_database(folder)
        self.watching = WatchBook(self._db)

    @staticmethod
    def exists(folder: Path) -> bool:
        return (folder / LEDGER_FILE).exists()

    @staticmethod
    def state_of(folder: Path) -> tuple[int, ...]:
        """Another value after every change, known without opening it."""
        return state_of(folder)

    def close(self) -> None:
        """Idempotent."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the writer lock -----------------------------------------------------------------------------------------

    def lock(self, timeout_s: float = 30.0) -> AbstractContextManager[None]:
        """Hold the library's writer lock. Raises LibraryBusy naming the holder's pid. A killed holder holds nothing."""
        return write_lock(self.folder, timeout_s)

    def lock_holder(self) -> int | None:
        """The process that is writing now, if any."""
        return lock_holder(self.folder)

    # --- reading -------------------------------------------------------------------------------------------------

    def documents(self, globs: Sequence[str] = ()) -> list[Document]:
        """By path; only those whose path matches one of the globs, if there are any."""
        is_wanted = glob_matcher(globs)
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM documents WHERE state != 'removing' ORDER BY path")
        return [_document(row) for row in rows if is_wanted(os.fsdecode(row[1]))]

    def document(self, reference: str) -> Document:
        """By path, by id, or by the beginning of an id (four signs or more). Raises NotFound."""
        select = f"SELECT {_COLUMNS} FROM documents WHERE state != 'removing' AND "
        found = self._db.execute(select + "path = ?", (os.fsencode(reference),)).fetchall()
        if not found and len(reference) >= 4 and reference.isascii():
            found = self._db.execute(select + "substr(id, 1, ?) = ?", (len(reference), reference)).fetchmany(2)
        if len(found) == 1:
            return _document(found[0])
        what = "several documents have ids that begin with" if found else "there is no document"
        raise NotFound(f"{what} {reference}", "termrag ls")

    def failures(self) -> list[Document]:
        """The documents that could not be read, by path."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM documents WHERE state = 'failed' ORDER BY path")
        return [_document(row) for row in rows]

    def counts(self) -> Counts:
        rows = self._db.execute("SELECT state, count(*), sum(chunks) FROM documents GROUP BY state").fetchall()
        number = {state: count for state, count, _ in rows}
        chunks = sum(total for state, _, total in rows if state == "indexed")
        unfinished = number.get("pending", 0) + number.get("removing", 0)
        unembedded = self._db.execute(f"SELECT count(*) FROM documents WHERE {_WAITING}").fetchone()[0]
        return Counts(number.get("indexed", 0), number.get("failed", 0), unfinished, chunks, unembedded)

    # --- vectors that are still to come --------------------------------------------------------------------------

    def waiting(self, limit: int, chunks: int | None = None) -> list[FileEntry]:
        """Documents that lack vectors, the newest first; no more than it takes to lack that of `chunks`."""
        rows = self._db.execute(
            f"SELECT id, unembedded FROM documents WHERE {_WAITING} ORDER BY indexed_at DESC LIMIT ?", (limit,)
        ).fetchall()
        before = accumulate((lacking for _, lacking in rows), initial=0)
        chosen = [key for (key, _), there in zip(rows, before, strict=False) if chunks is None or there < chunks]
        marks = ", ".join("?" * len(chosen))
        return list(self._entries(f"id IN ({marks}) ORDER BY indexed_at DESC", tuple(chosen)).values())

    def waiting_chunks(self) -> int:
        """How many vectors are still to come."""
        found = self._db.execute(f"SELECT coalesce(sum(unembedded), 0) FROM documents WHERE {_WAITING}").fetchone()
        return int(found[0])

    def unembedded(self, document_ids: Collection[str]) -> set[str]:
        """Those of the documents that lack vectors."""
        marks = ", ".join("?" * len(document_ids))
        rows = self._db.execute(f"SELECT id FROM documents WHERE {_WAITING} AND id IN ({marks})", list(document_ids))
        return {document_id for (document_id,) in rows}

    def content_hashes(self, document_ids: Collection[str]) -> dict[str, str]:
        """The hash of what each of the documents holds; those that are not in the library are left out."""
        marks = ", ".join("?" * len(document_ids))
        rows = self._db.execute(
            f"SELECT id, content_hash FROM documents WHERE state != 'removing' AND id IN ({marks})", list(document_ids)
        )
        return dict(rows.fetchall())

    def note_embedded(self, entries: Iterable[FileEntry]) -> None:
        """All vectors are there, of those documents whose content is still the same."""
        with transaction(self._db):
            self._db.executemany(
                "UPDATE documents SET unembedded = 0 WHERE id = ? AND content_hash = ?",
                [(each.id, each.content_hash) for each in entries],
            )

    def overview(self) -> Overview:
        rows = self._db.execute(
            "SELECT language FROM documents WHERE state = 'indexed' AND language != '' "
            "GROUP BY language ORDER BY sum(chunks) DESC, language"
        )
        languages = tuple(language for (language,) in rows)
        return Overview(languages, bool(self.waiting(1)))

    # --- files, as the ingest sees them --------------------------------------------------------------------------

    def entries(self, below: str | None = None) -> dict[str, FileEntry]:
        """Path to entry; only the path itself and what lies below it, if one is given."""
        if below is None:
            return self._entries("TRUE", ())
        path = os.fsencode(below)
        return self._entries(
            "path = ? OR (path > ? AND path < ?)", (path, path.rstrip(b"/") + b"/", path.rstrip(b"/") + b"0")
        )

    def number_below(self, folder: str) -> int:
        """How many documents lie below a folder."""
        path = os.fsencode(folder).rstrip(b"/")
        found = self._db.execute(
            "SELECT count(*) FROM documents WHERE path > ? AND path < ?", (path + b"/", path + b"0")
        )
        return int(found.fetchone()[0])

    def entry(self, path: str) -> FileEntry | None:
        return self._entries("path = ?", (os.fsencode(path),)).get(path)

    def unfinished(self) -> dict[str, FileEntry]:
        """What a run that was cut short left behind."""
        return self._entries("state IN ('pending', 'removing')", ())

    def names_of(self, inode: int) -> list[str]:
        """The paths of one file: several where it has hard links. Other file systems count inodes of their own."""
        return list(self._entries("inode IN (?, ?)", (inode, -inode)))

    def by_inode(self, inode: int, size: int) -> list[FileEntry]:
        return list(self._entries("inode = ? AND size = ?", (inode, size)).values())

    def by_content(self, content_hash: str) -> list[FileEntry]:
        return list(self._entries("content_hash = ? AND content_hash != ''", (content_hash,)).values())

    def _entries(self, where: str, values: tuple[Any, ...]) -> dict[str, FileEntry]:
        columns = "id, path, state, device, inode, size, modified_ns, content_hash, recipe"
        rows = self._db.execute(f"SELECT {columns} FROM documents WHERE {where}", values)
        return {(path := os.fsdecode(row[1])): FileEntry(row[0], path, DocumentState(row[2]), *row[3:]) for row in rows}

    # --- changes, made under the lock ----------------------------------------------------------------------------

    def begin(self, changes: Iterable[tuple[str, str]]) -> None:
        """Write down that (id, path) is about to be put into the store."""
        with transaction(self._db):
            self._db.executemany(
                "INSERT INTO documents (id, path, state) VALUES (?, ?, 'pending') "
                "ON CONFLICT (id) DO UPDATE SET path = excluded.path, state = 'pending'",
                [(document_id, os.fsencode(path)) for document_id, path in changes],
            )

    def finish(self, documents: Iterable[Document], files: Iterable[FileEntry]) -> None:
        """Write down the outcome, indexed or failed, of documents with what was known of their files."""
        with transaction(self._db):
            self._db.executemany(
                f"INSERT INTO documents ({_COLUMNS}, device, inode, recipe) VALUES ({', '.join('?' * 22)}) "
                f"ON CONFLICT (id) DO UPDATE SET {_ASSIGNMENTS}",
                [_values(document, file) for document, file in zip(documents, files, strict=True)],
            )

    def touch(self, entries: Iterable[FileEntry]) -> None:
        """Take over state, path, stat and recipe of documents whose content stayed the same."""
        with transaction(self._db):
            self._db.executemany(
                "UPDATE documents SET path = ?, state = ?, device = ?, inode = ?, size = ?, modified_ns = ?, "
                "recipe = ? WHERE id = ?",
                [
                    (
                        os.fsencode(e.path),
                        e.state,
                        e.device,
                        e.inode,
                        e.size,
                        e.modified_ns,
                        e.recipe,
                        e.id,
                    )
                    for e in entries
                ],
            )

    def begin_removal(self, document_ids: Sequence[str]) -> None:
        with transaction(self._db):
            self._db.executemany(
                "UPDATE documents SET state = 'removing' WHERE id = ?", [(each,) for each in document_ids]
            )

    def forget(self, document_ids: Sequence[str]) -> None:
        with transaction(self._db):
            self._db.executemany("DELETE FROM documents WHERE id = ?", [(each,) for each in document_ids])

    def begin_rebuild(self) -> None:
        """Every document is to be read and embedded again; ids stay."""
        with transaction(self._db):
            self._db.execute(
                "UPDATE documents SET state = 'pending', content_hash = '', recipe = '', inode = 0, modified_ns = 0 "
                "WHERE state != 'removing'"
            )

    def begin_again(self, document_ids: Iterable[str]) -> None:
        """These documents are to be read again by the next run; ids stay."""
        with transaction(self._db):
            self._db.executemany(
                "UPDATE documents SET state = 'pending', content_hash = '', recipe = '', inode = 0, modified_ns = 0 "
                "WHERE id = ?",
                [(each,) for each in document_ids],
            )

    def note_unembedded(self, counts: Mapping[str, int]) -> None:
        """How many chunks of each of these documents lack a vector."""
        with transaction(self._db):
            self._db.executemany(
                "UPDATE documents SET unembedded = ? WHERE id = ?", [(count, each) for each, count in counts.items()]
            )

    # --- copies of the whole -------------------------------------------------------------------------------------

    def back_up(self, file: Path) -> None:
        """Write a copy of this moment to a new file, whoever writes meanwhile. Raises StoreUnavailable."""
        copy_out(self._db, file)

    def take_over(self, file: Path) -> None:
        """Become what `back_up` wrote, all at once. Raises StoreUnavailable, LibraryMismatch."""
        copy_in(self._db, file)

    # --- roots and texts -----------------------------------------------------------------------------------------

    def roots(self) -> list[str]:
        """The files and folders that were given by name."""
        return [os.fsdecode(path) for (path,) in self._db.execute("SELECT path FROM roots ORDER BY path")]

    def add_roots(self, paths: Iterable[str]) -> None:
        with transaction(self._db):
            self._db.executemany("INSERT OR IGNORE INTO roots VALUES (?)", [(os.fsencode(path),) for path in paths])

    def drop_roots(self, paths: Iterable[str]) -> None:
        with transaction(self._db):
            self._db.executemany("DELETE FROM roots WHERE path = ?", [(os.fsencode(path),) for path in paths])

    def keep_text(self, document_id: str, text: str) -> None:
        """Keep a text that is no file, so that a rebuild can read it again; the document has to be there."""
        with transaction(self._db):
            self._db.execute("INSERT OR REPLACE INTO texts VALUES (?, ?)", (document_id, text))

    def text(self, document_id: str) -> str | None:
        row = self._db.execute("SELECT text FROM texts WHERE id = ?", (document_id,)).fetchone()
        return None if row is None else str(row[0])


def new_document_id() -> str:
    return uuid.uuid4().hex


_ASSIGNMENTS = ", ".join(
    f"{name} = excluded.{name}" for name in f"{_COLUMNS}, device, inode, recipe".split(", ") if name != "id"
)


def _values(document: Document, file: FileEntry) -> tuple[Any, ...]:
    d = document
    return (
        d.id, os.fsencode(d.path), d.state, d.size_bytes, d.modified_ns, d.content_hash, d.media_type, d.title,
        d.author, d.created, d.language, d.pages, d.chunks, json.dumps(d.tags), d.error, d.hint, json.dumps(d.warnings),
        d.indexed_at, d.unembedded, file.device, file.inode, file.recipe,
    )  # fmt: skip


def _document(row: Sequence[Any]) -> Document:
    values = dict(zip(_FIELDS, row, strict=True))
    values["path"] = os.fsdecode(values["path"])
    values["state"] = DocumentState(values["state"])
    for name in ("tags", "warnings"):
        values[name] = () if values[name] == "[]" else tuple(json.loads(values[name]))
    return Document(**values)


_FIELDS = tuple("size_bytes" if name == "size" else name for name in _COLUMNS.split(", "))
