"""A store behind a network with a mirror on this machine: what is written goes to both, and while the server does not
answer, what is read comes from the mirror. Nothing is written then, and whoever reads is told.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from termrag.errors import LibraryMismatch, StoreUnavailable, StoreUnreachable
from termrag.logs import logger
from termrag.records import Filters, IndexedChunk, Row
from termrag.stores import Batch, Found, Identity, Lease, Store, StoreStats
from termrag.stores.lance_place import Place
from termrag.stores.lancedb import LanceStore, discard_lance, open_lance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from termrag.stores.qdrant import QdrantStore

_T = TypeVar("_T")


def open_mirrored(store: QdrantStore, folder: Path, identity: Identity | None, *, create: bool) -> MirroredStore:
    """Open both. Raises StoreUnreachable only where there is no mirror either, or where `create` asks for writing."""
    mirrored = MirroredStore(store, folder, identity, create=create)
    try:
        mirrored.identity()
        if create:
            mirrored.primary()
    except BaseException:
        mirrored.close()
        raise
    return mirrored


class MirroredStore:
    """The store behind the network, with the mirror in `folder`."""

    def __init__(self, store: QdrantStore, folder: Path, identity: Identity | None, *, create: bool) -> None:
        self._store = store
        self._place = Place(folder)
        self._identity = identity
        self._create = create
        self._is_open = False
        self._mirror: LanceStore | None = None
        self._notice = ""
        self._opening = threading.RLock()  # of both, by whoever searches first

    @property
    def has_snapshots(self) -> bool:
        return False

    @property
    def is_shared(self) -> bool:
        return True

    @property
    def notice(self) -> str:
        return self._notice

    def primary(self) -> QdrantStore:
        """The store behind the network. Raises StoreUnreachable."""
        with self._opening:
            if not self._is_open:
                self._store.open(self._identity, create=self._create)
                self._is_open = True
        return self._store

    # --- reading -------------------------------------------------------------------------------------------------

    def _read(self, call: Callable[[Store], _T]) -> _T:
        try:
            result = call(self.primary())
        except StoreUnreachable as error:
            mirror = self._mirror_to_read()
            if mirror is None:
                raise
            self._notice = f"{error.message}; answers come from the mirror on this machine, {self._age()}"
            return call(mirror)
        self._notice = ""
        return result

    def _age(self) -> str:
        noted = self._noted()
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(noted.get("at", 0)))
        return f"as of {when}" if noted.get("complete") else f"which is not complete, as of {when}"

    def identity(self) -> Identity | None:
        return self._read(lambda store: store.identity())

    def search_vector(
        self, vector: NDArray[np.float32], limit: int, filters: Filters, *, exact: bool = False
    ) -> list[Found]:
        return self._read(lambda store: store.search_vector(vector, limit, filters, exact=exact))

    def search_terms(self, terms: str, limit: int, filters: Filters) -> list[Found]:
        return self._read(lambda store: store.search_terms(terms, limit, filters))

    def chunks(self, document_id: str) -> list[IndexedChunk]:
        return self._read(lambda store: store.chunks(document_id))

    def chunks_at(self, places: Mapping[str, Set[int]]) -> list[IndexedChunk]:
        return self._read(lambda store: store.chunks_at(places))

    def vectors(self, document_id: str) -> dict[str, NDArray[np.float32]]:
        return self.primary().vectors(document_id)  # asked for by writers, who have to wait

    def scan(self) -> Iterator[IndexedChunk]:
        return self.primary().scan()

    def rows(self, after: str = "", *, document_ids: Sequence[str] = ()) -> Iterator[Batch]:
        return self.primary().rows(after, document_ids=document_ids)

    def version(self) -> int:
        return self._read(lambda store: store.version())

    def stats(self) -> StoreStats:
        return self._read(lambda store: store.stats())

    # --- writing -------------------------------------------------------------------------------------------------

    def _write(self, call: Callable[[Store], None]) -> None:
        """First there, then here. What does not go into the mirror is made good by the next `maintain`."""
        call(self.primary())
        try:
            mirror = self._mirror_to_write()
            if mirror is not None:
                call(mirror)
                self._note(complete=True)
        except StoreUnavailable as error:
            logger.warning("mirror fell behind: %s", type(error).__name__)
            self._note(complete=False)

    def replace(self, documents: Mapping[str, Sequence[Row]]) -> None:
        self._write(lambda store: store.replace(documents))

    def fill(self, document_ids: Sequence[str], vectors: Mapping[str, NDArray[np.float32]]) -> None:
        self._write(lambda store: store.fill(document_ids, vectors))

    def relocate(self, places: Mapping[str, tuple[str, int]]) -> None:
        self._write(lambda store: store.relocate(places))

    def restore(self, rows: Sequence[Row]) -> None:
        self._write(lambda store: store.restore(rows))

    def delete(self, document_ids: Sequence[str]) -> None:
        self._write(lambda store: store.delete(document_ids))

    def maintain(self, *, force: bool = False) -> bool:
        done = self.primary().maintain(force=force)
        try:
            if force or not self._noted().get("complete"):
                self._bring_up_to_date()
                done = True
            mirror = self._mirror_to_write()
            return (mirror is not None and mirror.maintain(force=force)) or done
        except StoreUnavailable as error:
            if isinstance(error, StoreUnreachable):
                raise
            logger.warning("mirror is not up to date: %s", type(error).__name__)
            return done

    def interrupt(self) -> None:
        self.primary().interrupt()

    def take_lease(self, name: str, holder: str, until: float) -> Lease:
        return self.primary().take_lease(name, holder, until)

    def drop_lease(self, name: str, holder: str) -> None:
        self.primary().drop_lease(name, holder)

    # --- the mirror ----------------------------------------------------------------------------------------------

    def _mirror_to_read(self) -> LanceStore | None:
        with self._opening:
            if self._mirror is None and self._place.folder.is_dir():
                try:
                    self._mirror = open_lance(self._place, self._identity, create=False)
                except LibraryMismatch:
                    return None
            return self._mirror

    def _mirror_to_write(self) -> LanceStore | None:
        """The mirror, once it is complete: until then writing to it would be in vain."""
        return self._mirror_to_read() if self._noted().get("complete") else None

    def _bring_up_to_date(self) -> None:
        """Copy what differs, and drop what is gone there."""
        primary = self.primary()
        self._note(complete=False)
        mirror = self._made_mirror(primary.identity())
        known = _signatures(mirror.rows())
        there: set[str] = set()
        for batch in primary.rows():
            documents: dict[str, list[Row]] = {}
            for row in batch.rows:
                documents.setdefault(row.chunk.document_id, []).append(row)
            there |= documents.keys()
            changed = {each: rows for each, rows in documents.items() if known.get(each) != _signature(rows)}
            if changed:
                mirror.replace(changed)
        mirror.delete(list(known.keys() - there))
        self._note(complete=True)

    def _made_mirror(self, identity: Identity | None) -> LanceStore:
        if self._mirror is None:
            try:
                self._mirror = open_lance(self._place, identity, create=True)
            except LibraryMismatch:
                discard_lance(self._place)
                self._mirror = open_lance(self._place, identity, create=True)
        return self._mirror

    def _noted(self) -> dict[str, float]:
        try:
            noted: dict[str, float] = json.loads((self._place.folder / "mirror.json").read_text())
        except (OSError, ValueError):
            return {}
        return noted

    def _note(self, *, complete: bool) -> None:
        if not complete and not self._place.folder.is_dir():
            return
        at = time.time() if complete else self._noted().get("at", 0)
        part = self._place.folder / "mirror.json.part"
        part.write_text(json.dumps({"complete": complete, "at": at}))
        part.replace(self._place.folder / "mirror.json")

    def close(self) -> None:
        self._store.close()
        if self._mirror is not None:
            self._mirror.close()


def _signatures(batches: Iterator[Batch]) -> dict[str, bytes]:
    """What tells one content of a document from another, by document; a document's rows may come scattered."""
    found: dict[str, int] = {}
    for batch in batches:
        for row in batch.rows:
            document = row.chunk.document_id
            found[document] = found.get(document, 0) ^ _mark(row)
    return {document: marks.to_bytes(16, "little") for document, marks in found.items()}


def _signature(rows: Sequence[Row]) -> bytes:
    marks = 0
    for row in rows:
        marks ^= _mark(row)
    return marks.to_bytes(16, "little")


def _mark(row: Row) -> int:
    chunk = row.chunk
    told = (chunk.chunk_id, chunk.text_hash, chunk.content_hash, chunk.path, chunk.modified_ns, row.vector is None)
    return int.from_bytes(hashlib.blake2b(repr(told).encode(), digest_size=16).digest(), "little")
