"""The embedded index in LanceDB: one table, one commit per batch of documents; knows no files and no models.

A document is replaced by one upsert that also overwrites its surplus old rows with tombstones (text, terms and vector
NULL). Tombstones are invisible to both searches; plain scans leave them out, maintenance purges them. Full-text search
sees only the words in `terms`, split at white space and taken literally: the analysis is ours, not the store's.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from termrag.errors import LibraryMismatch, StoreUnavailable
from termrag.records import Filters, IndexedChunk, Row
from termrag.stores import Batch, Found, Identity, Lease, StoreStats, difference
from termrag.stores.failures import guarded
from termrag.stores.filters import VISIBLE, condition, one_of
from termrag.stores.lance_leases import drop_lease, take_lease
from termrag.stores.lance_place import Place, connect, run
from termrag.stores.lance_scan import batches, batches_at, batches_of, pinned, release_old
from termrag.stores.rows import FOUND_COLUMNS, chunks_of, schema_for, table_of, tombstone_positions, with_vectors

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_TABLE = "chunks"
_METADATA_KEY = b"termrag"
_KEEP_VERSIONS = timedelta(minutes=15)  # a slow reader may still hold files of a version this old
_VECTOR_INDEX_ROWS = 50_000  # below, exact search takes tens of milliseconds and needs no index
_LARGE_ROWS = 500_000
_COMPARED = 600  # vectors of a search that are read and compared exactly
_MANY_ROWS = 300_000  # compaction rewrites much: do it more seldom
_FEW_ROWS = 10_000  # it takes a second at most, and each fragment a millisecond or two of each search
_REBUILD_GROWTH = 4
_ALL = 2**31 - 1

_T = TypeVar("_T")


def open_lance(place: Place, identity: Identity | None, *, create: bool) -> LanceStore:
    """Open the table at `place`, or make it. Raises StoreUnavailable, LibraryMismatch."""
    folder = place.folder
    if not folder.is_dir() and not create and not place.is_shared:
        raise StoreUnavailable(f"there is no index in {folder}", "termrag add PATH")
    if create:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    store = LanceStore(place)
    store.open(identity, create=create)
    return store


def discard_lance(place: Place) -> None:
    """Delete the index and all that is in it."""
    if place.is_shared:
        connection = connect(place)
        if _TABLE in guarded(lambda: run(connection.list_tables())).tables:
            guarded(lambda: run(connection.drop_table(_TABLE)))
        place.index_note.unlink(missing_ok=True)
        return  # the folder beside may hold an index of its own
    shutil.rmtree(place.folder, ignore_errors=True)


class LanceStore:
    """One open table; every method is one call into LanceDB, retried where another process may be in the way."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._folder = place.folder
        self._connection = connect(place)
        self._table: Any = None
        self._dimension = 0
        self._nprobes = 20

    @property
    def is_shared(self) -> bool:
        return self._place.is_shared

    @property
    def has_snapshots(self) -> bool:
        return True

    @property
    def notice(self) -> str:
        return ""

    # --- opening -------------------------------------------------------------------------------------------------

    def open(self, identity: Identity | None, *, create: bool) -> None:
        """Open the table and hold its identity against `identity`, where one is given."""
        if not self._exists() and (not create or identity is None):
            raise StoreUnavailable(f"there is no index in {self._place.target}", "termrag add PATH")
        if create and identity is not None:
            with self._creating():
                if not self._exists():
                    self._create(identity)
                self._table = self._opened()
                self._index()
        else:
            self._table = self._opened()
        found = self.identity()
        if found is None:
            raise StoreUnavailable(
                f"the index in {self._place.target} does not say how it was made", "termrag add --rebuild"
            )
        if identity is not None and found != identity:
            raise LibraryMismatch(difference(found, identity), "termrag add --rebuild")
        self._dimension = found.dimension
        self._tune()

    def _tune(self) -> None:
        """How many lists of a vector index to visit."""
        is_large = self._read(lambda table: table.count_rows()) >= _LARGE_ROWS
        self._nprobes = 50 if is_large else 20

    def _exists(self) -> bool:
        return _TABLE in guarded(lambda: run(self._connection.list_tables())).tables

    def _opened(self) -> Any:
        return guarded(lambda: run(self._connection.open_table(_TABLE)))

    @contextmanager
    def _creating(self) -> Iterator[None]:
        with (self._folder / "create.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _create(self, identity: Identity) -> None:
        metadata = {_METADATA_KEY: json.dumps(asdict(identity)).encode()}
        schema = schema_for(identity.dimension).with_metadata(metadata)
        guarded(lambda: run(self._connection.create_table(_TABLE, schema=schema)))

    def _index(self) -> None:
        """Add the indexes that are missing: all of them on a new table, some if its maker was killed."""
        from lancedb.index import FTS

        have = {column for index in self._read(lambda table: table.list_indices()) for column in index.columns}
        if "terms" not in have:
            words = FTS(
                base_tokenizer="whitespace",
                with_position=False,
                max_token_length=512,
                lower_case=False,
                stem=False,
                remove_stop_words=False,
                ascii_folding=False,
            )
            self._read(lambda table: table.create_index("terms", config=words))
        for column in {"document_id", "path"} - have:
            self._read(partial(_add_btree, column))

    def identity(self) -> Identity | None:
        metadata = self._read(lambda table: table.schema()).metadata or {}
        text = metadata.get(_METADATA_KEY)
        return Identity(**json.loads(text)) if text else None

    # --- writing -------------------------------------------------------------------------------------------------

    def replace(self, documents: Mapping[str, Sequence[Row]]) -> None:
        removed = [document for document, rows in documents.items() if not rows]
        kept = {document: rows for document, rows in documents.items() if rows}
        if not kept:
            self.delete(removed)
            return
        old = self._positions(list(documents))
        rows = [row for document in kept.values() for row in document]
        table = table_of(rows, tombstone_positions(documents, old), self._dimension)
        self._write(table, is_new=not old)

    def _positions(self, document_ids: Sequence[str]) -> dict[str, int]:
        """The highest position each document has in the table, tombstones included."""
        found = self._read(
            lambda table: (
                table.query()
                .where(one_of("document_id", document_ids))
                .select(["document_id", "position"])
                .limit(_ALL)
                .to_arrow()
            )
        )
        highest: dict[str, int] = {}
        for document, position in zip(found["document_id"].to_pylist(), found["position"].to_pylist(), strict=True):
            highest[document] = max(position, highest.get(document, -1))
        return highest

    def _write(self, rows: pa.Table, *, is_new: bool) -> None:
        def commit(table: Any) -> Any:
            if is_new:
                return table.add(rows, on_bad_vectors="null")
            upsert = table.merge_insert("chunk_id").when_matched_update_all().when_not_matched_insert_all()
            return upsert.use_index(False).execute(rows, on_bad_vectors="null")

        self._read(commit)

    def fill(self, document_ids: Sequence[str], vectors: Mapping[str, NDArray[np.float32]]) -> None:
        if not document_ids:
            return
        where = f"{one_of('document_id', list(document_ids))} AND {VISIBLE} AND vector IS NULL"
        found = self._read(lambda table: table.query().where(where).limit(_ALL).to_arrow())
        filled = with_vectors(found, vectors, self._dimension)
        if filled.num_rows:
            self._write(filled, is_new=False)

    def relocate(self, places: Mapping[str, tuple[str, int]]) -> None:
        if not places:
            return
        from termrag.stores.rows import with_places

        found = self._read(
            lambda table: (
                table.query().where(f"{one_of('document_id', list(places))} AND {VISIBLE}").limit(_ALL).to_arrow()
            )
        )
        if found.num_rows:
            self._write(with_places(found, places), is_new=False)

    def restore(self, rows: Sequence[Row]) -> None:
        if rows:
            old = self._positions(list({row.chunk.document_id for row in rows}))
            self._write(table_of(rows, (), self._dimension), is_new=not old)

    def delete(self, document_ids: Sequence[str]) -> None:
        if document_ids:
            self._read(lambda table: table.delete(one_of("document_id", document_ids)))

    # --- reading -------------------------------------------------------------------------------------------------

    def search_vector(
        self, vector: NDArray[np.float32], limit: int, filters: Filters, *, exact: bool = False
    ) -> list[Found]:
        if vector.shape != (self._dimension,):
            raise ValueError(f"the vector has shape {vector.shape}, not ({self._dimension},)")

        def search(table: Any) -> Coroutine[Any, Any, pa.Table]:
            query = table.query().nearest_to(vector).column("vector").distance_type("cosine")
            query = query.nprobes(self._nprobes).refine_factor(refine_factor(limit))
            query = query.bypass_vector_index() if exact else query
            return _limited(query, filters, limit, "_distance")

        found = self._read(search)
        distances = found["_distance"].to_pylist()
        return [Found(chunk, 1.0 - far) for chunk, far in zip(chunks_of(found), distances, strict=True)]

    def search_terms(self, terms: str, limit: int, filters: Filters) -> list[Found]:
        if not terms.strip():
            return []
        from lancedb.query import MatchQuery

        words: Any = MatchQuery(terms, "terms")  # type: ignore[call-arg]

        def search(table: Any) -> Coroutine[Any, Any, pa.Table]:
            return _limited(table.query().nearest_to_text(words), filters, limit, "_score")

        found = self._read(search)
        return list(map(Found, chunks_of(found), found["_score"].to_pylist()))

    def chunks(self, document_id: str) -> list[IndexedChunk]:
        return sorted(self._chunks(one_of("document_id", [document_id])), key=lambda chunk: chunk.position)

    def chunks_at(self, places: Mapping[str, Set[int]]) -> list[IndexedChunk]:
        positions = sorted({int(position) for each in places.values() for position in each})
        if not positions:
            return []
        where = f"{one_of('document_id', list(places))} AND position IN ({', '.join(map(str, positions))})"
        return [chunk for chunk in self._chunks(where) if chunk.position in places[chunk.document_id]]

    def _chunks(self, where: str) -> list[IndexedChunk]:
        where = f"{where} AND {VISIBLE}"
        return chunks_of(
            self._read(lambda table: table.query().where(where).select(FOUND_COLUMNS).limit(_ALL).to_arrow())
        )

    def vectors(self, document_id: str) -> dict[str, NDArray[np.float32]]:
        where = f"{one_of('document_id', [document_id])} AND {VISIBLE} AND vector IS NOT NULL"
        found = self._read(
            lambda table: table.query().where(where).select(["text_hash", "vector"]).limit(_ALL).to_arrow()
        ).combine_chunks()
        matrix = found["vector"].combine_chunks().flatten().to_numpy().reshape(-1, self._dimension)
        return dict(zip(found["text_hash"].to_pylist(), matrix, strict=True))

    def scan(self) -> Iterator[IndexedChunk]:
        import pyarrow as pa

        for batch in batches_at(self._opened(), VISIBLE, FOUND_COLUMNS):
            yield from chunks_of(pa.Table.from_batches([batch]))

    def rows(self, after: str = "", *, document_ids: Sequence[str] = ()) -> Iterator[Batch]:
        table = self._opened()
        if document_ids:
            return batches_of(table, one_of("document_id", document_ids))
        return batches(table, *guarded(lambda: run(pinned(table, after))))

    def stats(self) -> StoreStats:
        rows = self._read(lambda table: table.count_rows(VISIBLE))
        first = self._read(lambda table: table.count_rows("position = 0 AND text IS NOT NULL"))
        indexes = self._read(lambda table: table.list_indices())
        vector_index = next((index.index_type for index in indexes if index.columns == ["vector"]), "")
        return StoreStats(
            rows=rows,
            documents=first,
            fragments=self._fragments(),
            unindexed_rows=max((index.num_unindexed_rows or 0 for index in indexes), default=0),
            size_bytes=self._size_bytes(),
            vector_index=vector_index,
        )

    def _size_bytes(self) -> int:
        if self.is_shared:
            return int(self._read(lambda table: table.stats())["total_bytes"])
        return _size_bytes(self._folder)

    def version(self) -> int:
        return int(self._read(lambda table: table.version()))

    def _fragments(self) -> int:
        return int(self._read(lambda table: table.stats())["fragment_stats"]["num_fragments"])

    # --- care ----------------------------------------------------------------------------------------------------

    def maintain(self, *, force: bool = False) -> bool:
        rows = self._read(lambda table: table.count_rows())
        most_fragments = 50 if rows > _MANY_ROWS else 12 if rows > _FEW_ROWS else 5
        if not force and self._fragments() < most_fragments:
            return False
        size = self._size_bytes()
        free = shutil.disk_usage(self._folder).free
        if free < 1.3 * size and not self.is_shared:
            if not force:
                return False
            raise StoreUnavailable(
                f"Compacting needs {1.3 * size / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free.",
                "Free some disk space.",
            )
        self._read(lambda table: table.delete("text IS NULL"))
        self._read(release_old)
        self._read(lambda table: table.optimize(cleanup_older_than=_KEEP_VERSIONS))
        self._index_vectors()
        self._tune()
        self._open_anew()
        return True

    def interrupt(self) -> None:
        pass

    def _open_anew(self) -> None:
        """Let go of what was read of indexes that are replaced now: a long run would keep it all."""
        if self._table is not None:
            self._connection = connect(self._place)
            self._table = self._opened()

    def _index_vectors(self) -> None:
        rows = self._read(lambda table: table.count_rows("vector IS NOT NULL"))  # words come first, vectors follow
        if rows < _VECTOR_INDEX_ROWS:
            return
        from lancedb.index import IvfRq

        note = self._place.index_note
        indexes = self._read(lambda table: table.list_indices())
        has_index = any(index.columns == ["vector"] for index in indexes)
        rows_at_build = json.loads(note.read_text()).get("rows", 0) if has_index and note.exists() else 0
        if has_index and rows < _REBUILD_GROWTH * max(rows_at_build, _VECTOR_INDEX_ROWS):
            return
        config = IvfRq(distance_type="cosine")  # never bare: the default is an order of magnitude dearer and worse
        self._read(lambda table: table.create_index("vector", config=config))
        note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        note.write_text(json.dumps({"rows": rows}))

    def take_lease(self, name: str, holder: str, until: float) -> Lease:
        return take_lease(self._connection, name, holder, until)

    def drop_lease(self, name: str, holder: str) -> None:
        drop_lease(self._connection, name, holder)

    def close(self) -> None:
        self._table = None

    def _read(self, call: Callable[[Any], Coroutine[Any, Any, _T]]) -> _T:
        """Let the table do something; mend what can be mended, name what cannot."""
        if self._table is None:
            raise StoreUnavailable("the index is closed", "Open it again.")
        table = self._table
        return guarded(lambda: run(call(table)), refresh=lambda: run(table.checkout_latest()))


def _add_btree(column: str, table: Any) -> Coroutine[Any, Any, None]:
    from lancedb.index import BTree

    return table.create_index(column, config=BTree())  # type: ignore[no-any-return]


def refine_factor(limit: int) -> int:
    """How many times as many as are wanted the index brings, to be compared exactly: those by whose codes alone it
    knows the ten nearest of a million at 0.98 recall, whatever the limit."""
    return max(1, -(-_COMPARED // limit))


def _limited(query: Any, filters: Filters, limit: int, score: str) -> Coroutine[Any, Any, pa.Table]:
    where = condition(filters)
    if where:
        query = query.where(where)
    return query.limit(limit).select([*FOUND_COLUMNS, score]).to_arrow()  # type: ignore[no-any-return]


def _size_bytes(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{where}/{name}").st_size
            except FileNotFoundError:  # another process tidies up meanwhile
                continue
    return total
