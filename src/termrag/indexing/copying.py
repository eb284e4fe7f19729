"""An index written to files and read from them: export and import to carry it elsewhere, backup and restore to keep it.

Both are taken of one moment: the ledger and the store are pinned together under the writer lock, which is then let go
where the store can read a snapshot while others write. What is read is checked against its hashes before anything in
the library is touched.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from termrag.errors import ConfigError, LibraryMismatch, NotFound, StoreUnavailable
from termrag.events import Copied, CopyEvent
from termrag.indexing.documents import read_documents, settled, table_of_documents
from termrag.indexing.fileset import Manifest, Writer, check_files, read_manifest, read_rows
from termrag.indexing.opening import as_it_is, place_by, require_unwatched, shaping_settings
from termrag.indexing.pace import Pace
from termrag.ledger import Ledger
from termrag.parts import Parts
from termrag.records import Document, DocumentState, Row
from termrag.stores import Store

_DOCUMENTS = "documents.parquet"
_LEDGER = "ledger.sqlite"
_COMMIT = 4000  # chunks put into the store at once
_MAINTAIN_EVERY = 20  # commits


def export(parts: Parts, folder: Path) -> Iterator[CopyEvent]:
    """Write documents, chunks and vectors to a new folder that another library can import. Folders that are watched or
    were added stay behind: elsewhere they are not there."""
    yield from _write(parts, folder, "export")


def back_up(parts: Parts, folder: Path) -> Iterator[CopyEvent]:
    """Write the whole library, its ledger included, to a new folder, while others may write to it."""
    yield from _write(parts, folder, "backup")


def import_index(parts: Parts, folder: Path, *, replace: bool = False) -> Iterator[CopyEvent]:
    """Fill an empty library from an export; one that is not empty only if it may be replaced."""
    yield from _read(parts, folder, "export", replace=replace)


def restore(parts: Parts, folder: Path, *, replace: bool = False) -> Iterator[CopyEvent]:
    """Make the library what it was when it was backed up; one that is not empty only if it may be replaced."""
    yield from _read(parts, folder, "backup", replace=replace)


# --- writing -----------------------------------------------------------------------------------------------------


def _write(parts: Parts, folder: Path, kind: str) -> Iterator[CopyEvent]:
    started = time.monotonic()
    if not parts.has_library():
        raise NotFound("nothing is indexed yet", "termrag add PATH")
    with ExitStack() as stack:
        ledger = stack.enter_context(parts.open_ledger())
        store = stack.enter_context(as_it_is(parts))
        writer = stack.enter_context(Writer(folder))
        locked = stack.enter_context(ExitStack())
        locked.enter_context(ledger.lock())
        documents = settled(ledger)
        if kind == "backup":
            ledger.back_up(writer.begin_file(_LEDGER))
        writer.add_table(_DOCUMENTS, table_of_documents(documents, ledger))
        batches = store.rows()
        if store.has_snapshots:
            locked.close()
        if kind == "backup":
            writer.add_file(_LEDGER)
        identity = store.identity()
        assert identity is not None
        known = {each.id for each in documents if each.state is DocumentState.INDEXED}
        pace = Pace("writing chunks", sum(each.chunks for each in documents))
        for batch in batches:
            rows = [row for row in batch.rows if row.chunk.document_id in known]
            writer.add_rows(rows, identity.dimension)
            yield pace.step(len(rows))
        manifest = writer.finish(kind, identity, len(documents), shaping_settings(parts))
    yield _copied(str(folder), manifest, started, _notes(documents, manifest))


def _notes(documents: Sequence[Document], manifest: Manifest) -> tuple[str, ...]:
    expected = sum(each.chunks for each in documents)
    if expected == manifest.chunks:
        return ()
    return (f"the ledger knows of {expected} chunks, the store gave {manifest.chunks}: termrag index verify",)


# --- reading -----------------------------------------------------------------------------------------------------


def _read(parts: Parts, folder: Path, kind: str, *, replace: bool) -> Iterator[CopyEvent]:
    started = time.monotonic()
    manifest = read_manifest(folder)
    if manifest.kind != kind:
        other = "restore" if manifest.kind == "backup" else "import"
        raise ConfigError(f"{folder} is a {manifest.kind}", f"termrag index {other} {folder}")
    _require_same_setup(parts, manifest)
    require_unwatched(parts)
    pace = Pace("checking files", manifest.size_bytes)
    for size in check_files(folder, manifest):
        yield pace.step(size)
    with parts.open_ledger() as ledger, ledger.lock():
        _require_room(ledger, parts, replace=replace)
        yield from _fill(parts, ledger, folder, manifest)
    yield _copied(place_by(parts, parts.config), manifest, started)


def _fill(parts: Parts, ledger: Ledger, folder: Path, manifest: Manifest) -> Iterator[CopyEvent]:
    """Announce, put into the store, confirm: what is cut short stands as unfinished in the ledger, and is not taken for
    a library."""
    import pyarrow.parquet as pq

    documents, files, texts = read_documents(pq.read_table(folder / _DOCUMENTS))
    ledger.begin_again([each.id for each in ledger.documents()])
    ids = {each.id for each in documents}
    ledger.forget([each.id for each in ledger.entries().values() if each.id not in ids])
    ledger.begin((each.id, each.path) for each in documents)
    parts.discard_store()
    store = parts.store_for_writing()
    pace = Pace("reading chunks", manifest.chunks)
    for number, rows in enumerate(_together(read_rows(folder, manifest)), 1):
        store.restore(rows)
        if number % _MAINTAIN_EVERY == 0:
            store.maintain()
        yield pace.step(len(rows))
    store.maintain()
    _require_all(store, manifest)
    if manifest.kind == "backup":
        ledger.take_over(folder / _LEDGER)
        return
    ledger.finish(documents, files)
    for document_id, text in texts.items():
        ledger.keep_text(document_id, text)


def _together(batches: Iterator[tuple[Row, ...]]) -> Iterator[list[Row]]:
    rows: list[Row] = []
    for batch in batches:
        rows += batch
        if len(rows) >= _COMMIT:
            yield rows
            rows = []
    if rows:
        yield rows


def _require_all(store: Store, manifest: Manifest) -> None:
    found = store.stats().rows
    if found != manifest.chunks:
        raise StoreUnavailable(f"the store holds {found} chunks, not {manifest.chunks}", "Run it again.")


def _require_room(ledger: Ledger, parts: Parts, *, replace: bool) -> None:
    counts = ledger.counts()
    if (counts.indexed or counts.failed) and not replace:
        raise ConfigError(
            f"the library {parts.library_folder} holds {counts.indexed} documents already", "--yes replaces them"
        )


def _require_same_setup(parts: Parts, manifest: Manifest) -> None:
    """Vectors and words are of use only to a library with the same models. Raises LibraryMismatch."""
    if parts.identity() == manifest.identity:
        return
    ours = shaping_settings(parts)
    for name, value in manifest.settings.items():
        if ours.get(name) != value:
            raise LibraryMismatch(
                f"it was made with {name} = {value}, and here it is {ours.get(name)}",
                f"termrag config set {name} {value}",
            )
    raise LibraryMismatch("it was made by another version of termrag", "termrag add PATH, for the folders it was of")


def _copied(place: str, manifest: Manifest, started: float, notes: tuple[str, ...] = ()) -> Copied:
    return Copied(place, manifest.documents, manifest.chunks, manifest.size_bytes, time.monotonic() - started, notes)
