"""What the ledger remembers, and how its lock behaves."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from termrag.errors import LibraryBusy, LibraryMismatch, NotFound, StoreUnavailable
from termrag.ledger import FileEntry, Ledger
from termrag.ledger.database import LEDGER_FILE
from termrag.records import Document, DocumentState


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "library") as ledger:
        yield ledger


def put(ledger: Ledger, document_id: str, path: str, *, state: DocumentState = DocumentState.INDEXED) -> Document:
    document = Document(
        id=document_id,
        path=path,
        state=state,
        size_bytes=10,
        modified_ns=20,
        content_hash="abc",
        title="A title",
        language="de" if path.endswith("md") else "en",
        chunks=3 if state == DocumentState.INDEXED else 0,
        tags=("one", "two"),
        error="broken" if state == DocumentState.FAILED else "",
        warnings=("page 2 is a scan",),
        indexed_at=1.5,
    )
    ledger.finish([document], [FileEntry(document_id, path, state, 1, (1 << 63) - 1, 10, 20, "abc", "1/1")])
    return document


def test_a_ledger_that_another_process_is_just_making_is_waited_for(tmp_path: Path) -> None:
    """SQLite itself does not wait for this lock, however long its time-out."""
    with closing(sqlite3.connect(tmp_path / LEDGER_FILE, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        soon = threading.Timer(0.3, other.execute, ["ROLLBACK"])
        soon.start()
        with Ledger(tmp_path) as ledger:
            assert ledger.documents() == []
        soon.join()


def test_a_document_comes_back_as_it_was_written(ledger: Ledger) -> None:
    written = put(ledger, "a" * 32, "/docs/\udcff new\nline.md")
    assert ledger.documents() == [written]
    assert ledger.document(written.path) == written
    assert ledger.document("aaaa") == written
    assert ledger.entry(written.path) == FileEntry(
        written.id, written.path, DocumentState.INDEXED, 1, (1 << 63) - 1, 10, 20, "abc", "1/1"
    )


def test_documents_are_found_by_glob_in_the_order_of_their_paths(ledger: Ledger) -> None:
    for number, path in enumerate(["/docs/b.md", "/docs/sub/c.md", "/docs/a.txt", "/docs2/a.md"]):
        put(ledger, f"{number}" * 32, path)
    assert [each.path for each in ledger.documents(["/docs/*", "*.txt"])] == ["/docs/a.txt", "/docs/b.md"]
    assert [each.path for each in ledger.documents(["/docs"])] == ["/docs/a.txt", "/docs/b.md", "/docs/sub/c.md"]
    assert ledger.overview().languages == ("de", "en")


def test_an_unknown_or_ambiguous_reference_is_not_found(ledger: Ledger) -> None:
    put(ledger, "abcd1", "/a")
    put(ledger, "abcd2", "/b")
    for reference in ("abcd", "nothing", "abc", ""):
        with pytest.raises(NotFound):
            ledger.document(reference)


def test_entries_below_a_folder_are_its_own(ledger: Ledger) -> None:
    for number, path in enumerate(["/a", "/a/x", "/a/b/y", "/a.md", "/ab/z", "/a/\udcff"]):
        put(ledger, str(number), path)
    assert set(ledger.entries(below="/a")) == {"/a", "/a/x", "/a/b/y", "/a/\udcff"}
    assert len(ledger.entries(below="/")) == 6


def test_counts_and_failures_go_by_state(ledger: Ledger) -> None:
    put(ledger, "1", "/a")
    put(ledger, "2", "/b", state=DocumentState.FAILED)
    ledger.begin([("3", "/c")])
    ledger.begin_removal(["3"])
    counts = ledger.counts()
    assert (counts.indexed, counts.failed, counts.pending, counts.chunks) == (1, 1, 1, 3)
    assert [each.error for each in ledger.failures()] == ["broken"]
    assert [each.path for each in ledger.documents()] == ["/a", "/b"]
    assert set(ledger.unfinished()) == {"/c"}


def test_files_are_private(ledger: Ledger) -> None:
    put(ledger, "1", "/a")
    with ledger.lock():
        pass
    assert stat.S_IMODE(ledger.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in ledger.folder.iterdir()} == {0o600}


def test_a_ledger_of_a_newer_termrag_is_refused(ledger: Ledger) -> None:
    with sqlite3.connect(ledger.folder / "ledger.sqlite") as database:
        database.execute("INSERT INTO migrations VALUES (99, 0)")
    database.close()
    with pytest.raises(LibraryMismatch):
        Ledger(ledger.folder)


def test_a_file_that_is_no_ledger_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_text("This is no database at all. " * 100)
    with pytest.raises(StoreUnavailable) as refused:
        Ledger(tmp_path)
    assert refused.value.hint


def hold(folder: Path, told: Connection) -> None:
    with Ledger(folder) as ledger, ledger.lock():
        told.send(os.getpid())
        told.recv()


def test_a_held_lock_names_its_holder_and_dies_with_it(ledger: Ledger) -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    holder = context.Process(target=hold, args=(ledger.folder, there))
    holder.start()
    pid = here.recv()
    assert ledger.lock_holder() == pid
    with pytest.raises(LibraryBusy, match=str(pid)), ledger.lock(timeout_s=0.05):
        pass
    holder.kill()
    holder.join()
    with ledger.lock(timeout_s=0.05):
        assert ledger.lock_holder() == os.getpid()
    assert ledger.lock_holder() is None


def test_the_ledger_is_light(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from termrag.ledger import Ledger; Ledger(pathlib.Path(sys.argv[1])).documents()\n"
        "print(sorted({'numpy', 'pyarrow', 'lancedb', 'httpx', 'pathspec', 'click'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
