"""The index in Qdrant: one point per chunk with a dense vector and BM25 weights; knows no files and no models.

Qdrant has no commit over many points. A document's new points are put staged, which no reader sees, shown in one step,
and the old ones are deleted in the next; whoever reads in between keeps the newest revision of each document. So a
reader sees a document as it was or as it is, and a run killed anywhere is mended by repeating it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from termrag.config import QdrantSettings
from termrag.errors import LibraryMismatch, StoreUnavailable
from termrag.records import Filters, IndexedChunk, Row
from termrag.stores import Batch, Found, Identity, Lease, StoreStats, difference
from termrag.stores.collection import Collection
from termrag.stores.conditions import HAS_VECTOR, VISIBLE, Condition, condition, equals, one_of, visible
from termrag.stores.points import (
    FOUND_FIELDS,
    Held,
    Point,
    Sparse,
    asked,
    chunk_of,
    document_of,
    newest,
    place_of,
    point_id,
    points_of,
    revision_of,
    weigh,
)
from termrag.stores.qdrant_leases import drop_lease, take_lease
from termrag.stores.qdrant_scan import DOCUMENTS, PAGE, documents, every, pages, whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NAMED = 1000  # documents named in one condition
_SAMPLE = 500  # points whose lengths tell what length is usual; ids are hashes, so any page is a fair sample
_DRIFT = 0.2  # a share by which the usual length may move before all weights are made anew


def open_qdrant(
    folder: Path, identity: Identity | None, *, create: bool, settings: QdrantSettings, environ: Mapping[str, str]
) -> QdrantStore:
    """Open the collection at `settings.url`, or that in `folder`, or make it. Raises StoreUnavailable, StoreBusy,
    LibraryMismatch; StoreUnreachable for a server that does not answer."""
    store = closed_qdrant(folder, create=create, settings=settings, environ=environ)
    try:
        store.open(identity, create=create)
    except BaseException:
        store.close()
        raise
    return store


def closed_qdrant(folder: Path, *, create: bool, settings: QdrantSettings, environ: Mapping[str, str]) -> QdrantStore:
    """The same, not opened yet: no server is asked."""
    return QdrantStore(_collection(folder, settings, environ, create=create))


def discard_qdrant(folder: Path, *, settings: QdrantSettings, environ: Mapping[str, str]) -> None:
    """Delete the collection and all that is in it."""
    if settings.url or folder.is_dir():
        collection = _collection(folder, settings, environ, create=False)
        try:
            if collection.note() is not None:
                collection.drop()
        finally:
            collection.close()
    if not settings.url:
        shutil.rmtree(folder, ignore_errors=True)


def _collection(folder: Path, settings: QdrantSettings, environ: Mapping[str, str], *, create: bool) -> Collection:
    try:
        if settings.url:
            from termrag.stores.qdrant_remote import RemoteCollection, api_key_of

            return RemoteCollection(settings, api_key_of(settings, environ))
        import qdrant_edge  # noqa: F401 - whether it is there

        from termrag.stores.qdrant_embedded import EmbeddedCollection
    except ModuleNotFoundError as error:
        raise StoreUnavailable(f"{error.name} is not installed", "pip install 'termrag[qdrant]'") from error
    if not folder.is_dir() and not create:
        raise StoreUnavailable(f"there is no index in {folder}", "termrag add PATH")
    if create:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    return EmbeddedCollection(folder)


class QdrantStore:
    """One open collection, on a server or in a folder."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._note: dict[str, Any] = {}
        self._dimension = 0
        self._written = 0
        self._look_at_lengths = PAGE

    @property
    def has_snapshots(self) -> bool:
        return False

    @property
    def is_shared(self) -> bool:
        return self._collection.is_shared

    @property
    def notice(self) -> str:
        return ""

    # --- opening -------------------------------------------------------------------------------------------------

    def open(self, identity: Identity | None, *, create: bool) -> None:
        """Open the collection and hold its identity against `identity`, where one is given."""
        note = self._collection.note()
        if note is None and (not create or identity is None):
            raise StoreUnavailable(f"there is no index at {self._collection.place}", "termrag add PATH")
        if create and identity is not None:
            self._collection.create(identity.dimension, {"identity": asdict(identity)})
            note = self._collection.note()
        self._note = note or {}
        found = self.identity()
        if found is None:
            raise StoreUnavailable(
                f"the collection at {self._collection.place} was not made by termrag",
                "termrag config set qdrant.collection NAME",
            )
        if identity is not None and found != identity:
            raise LibraryMismatch(difference(found, identity), "termrag add --rebuild")
        self._dimension = found.dimension

    def identity(self) -> Identity | None:
        noted = self._note.get("identity")
        return Identity(**noted) if noted else None

    # --- writing -------------------------------------------------------------------------------------------------

    def replace(self, documents: Mapping[str, Sequence[Row]]) -> None:
        for rows in documents.values():
            self._check(rows)
        kept = {document: rows for document, rows in documents.items() if rows}
        revisions = {document: revision_of(document, rows) for document, rows in kept.items()}
        there = self._revisions(list(documents))
        unchanged = {
            document
            for document, revision in revisions.items()
            if there.get(document) == {revision: len(kept[document])}
        }
        fresh = {document: rows for document, rows in kept.items() if document not in unchanged}
        self._expect_lengths([row for rows in fresh.values() for row in rows])
        sequence = time.time_ns()
        points = [
            point
            for document, rows in fresh.items()
            for point in points_of(rows, revisions[document], sequence, self._average)
        ]
        changed = [document for document in documents if document not in unchanged]
        with self._collection.writing():
            self._collection.upsert(points)
            for part in _slices(changed, _NAMED):
                shown = [revisions[document] for document in part if document in revisions]
                others = {"must": [one_of("document_id", part)], "must_not": [one_of("revision", shown)]}
                self._collection.show({"must": [one_of("revision", shown)]}, others)
        # The same words at another place: `relocate` is all there is to do.
        self.relocate({each: (kept[each][0].chunk.path, kept[each][0].chunk.modified_ns) for each in unchanged})
        self._written += len(points)
        self._stamp()

    def _stamp(self) -> None:
        """Note at a point that no reader sees when the collection was last changed."""
        payload = {"staged": 1, "stamp": 1, "changed": time.time_ns()}
        self._collection.upsert([Point(point_id("changed", "stamp"), payload, Sparse([], []), None)])

    def version(self) -> int:
        held, _ = self._collection.page({"must": [equals("stamp", 1)]}, ["changed"], 1, None)
        return int(held[0].payload["changed"]) if held else 0

    def _check(self, rows: Sequence[Row]) -> None:
        import numpy as np

        for row in rows:
            if row.vector is None:
                continue
            if row.vector.shape != (self._dimension,):
                raise ValueError(f"the vector has shape {row.vector.shape}, not ({self._dimension},)")
            if not np.isfinite(row.vector).all():
                raise ValueError("a vector holds what is no number")

    def _revisions(self, documents: Sequence[str]) -> dict[str, dict[str, int]]:
        """How many points each document has of each revision; those that were never shown count as none of it."""
        found: dict[str, dict[str, int]] = {}
        for part in _slices(documents, _NAMED):
            chosen = one_of("document_id", part)
            for revision, count in self._collection.values("revision", {"must": [chosen]}).items():
                found.setdefault(document_of(revision), {})[revision] = count
            for revision, count in self._collection.values("revision", {"must": [chosen, equals("staged", 1)]}).items():
                counts = found.setdefault(document_of(revision), {})
                counts[revision] = counts.get(revision, 0) - count  # more, where another has begun to write meanwhile
        return found

    def fill(self, document_ids: Sequence[str], vectors: Mapping[str, NDArray[np.float32]]) -> None:
        found: dict[str, NDArray[np.float32]] = {}
        for part in _slices(list(document_ids), _NAMED):
            lacking: Condition = {"must": [one_of("document_id", part)], "must_not": [HAS_VECTOR, equals("staged", 1)]}
            for held in every(self._collection, lacking, ["text_hash"]):
                vector = vectors.get(held.payload["text_hash"])
                if vector is not None:
                    found[held.id] = vector
        with self._collection.writing():
            self._collection.put_dense(found)
        self._stamp()

    def relocate(self, places: Mapping[str, tuple[str, int]]) -> None:
        if not places:
            return
        with self._collection.writing():
            for document, place in places.items():
                self._collection.set_payload({"must": [equals("document_id", document)]}, place_of(*place))
        self._stamp()

    def restore(self, rows: Sequence[Row]) -> None:
        self._check(rows)
        self._expect_lengths(rows)
        by_document: dict[str, list[Row]] = {}
        for row in rows:
            by_document.setdefault(row.chunk.document_id, []).append(row)
        known = {
            held.payload["document_id"]: held
            for held in newest(
                every(
                    self._collection,
                    visible(one_of("document_id", list(by_document))),
                    ["document_id", "revision", "sequence"],
                )
            )
        }
        points: list[Point] = []
        for document, given in by_document.items():
            there = known.get(document)
            revision, sequence = (
                (there.payload["revision"], there.payload["sequence"]) if there else (f"{document}/restored", 1)
            )
            points += points_of(given, revision, sequence, self._average)
        for point in points:
            del point.payload["staged"]
            point.payload["chunks"] = 0  # how many there will be is not known
        with self._collection.writing():
            self._collection.upsert(points)
        self._stamp()

    def delete(self, document_ids: Sequence[str]) -> None:
        with self._collection.writing():
            for part in _slices(list(document_ids), _NAMED):
                self._collection.delete({"must": [one_of("document_id", part)]})
        self._stamp()

    # --- lengths -------------------------------------------------------------------------------------------------

    @property
    def _average(self) -> float:
        return float(self._note.get("average_terms", 1.0))

    def _expect_lengths(self, rows: Sequence[Row]) -> None:
        """The first rows of a collection say how long a chunk usually is."""
        total = len(" ".join(row.terms for row in rows).split())
        if "average_terms" not in self._note and total:
            self._renote(average_terms=total / len(rows))

    def _renote(self, **changes: Any) -> None:
        self._note = {**self._note, **changes}
        self._collection.renote(self._note)

    def _weigh_anew(self) -> bool:
        """Make all weights anew if chunks have become longer or shorter than they were taken to be."""
        sample, _ = self._collection.page(VISIBLE, ["length"], _SAMPLE, None)
        lengths: list[int] = [held.payload["length"] for held in sample]
        usual = sum(lengths) / max(1, len(lengths))
        if not usual or abs(usual / self._average - 1) <= _DRIFT:
            return False
        self._renote(average_terms=usual)
        for page in pages(self._collection, VISIBLE, ["terms"]):
            self._collection.put_words({each.id: weigh(each.payload["terms"], usual) for each in page})
        return True

    # --- reading -------------------------------------------------------------------------------------------------

    def search_vector(
        self, vector: NDArray[np.float32], limit: int, filters: Filters, *, exact: bool = False
    ) -> list[Found]:
        if vector.shape != (self._dimension,):
            raise ValueError(f"the vector has shape {vector.shape}, not ({self._dimension},)")
        return self._search(vector, limit, filters, exact=exact)

    def search_terms(self, terms: str, limit: int, filters: Filters) -> list[Found]:
        return self._search(asked(terms), limit, filters) if terms.strip() else []

    def _search(
        self, query: NDArray[np.float32] | Sparse, limit: int, filters: Filters, *, exact: bool = False
    ) -> list[Found]:
        where = condition(filters, self._paths, hide_staged=self._collection.may_show_staged)
        found = self._collection.nearest(query, where, limit, FOUND_FIELDS, exact=exact)
        return [Found(chunk_of(held.payload), held.score) for held in newest(found)]

    def _paths(self) -> list[str]:
        return list(self._collection.values("path", visible(equals("position", 0))))

    def chunks(self, document_id: str) -> list[IndexedChunk]:
        held = whole(self._collection, [document_id], FOUND_FIELDS)
        return sorted((chunk_of(each.payload) for each in held), key=lambda chunk: chunk.position)

    def chunks_at(self, places: Mapping[str, Set[int]]) -> list[IndexedChunk]:
        positions = sorted({int(position) for each in places.values() for position in each})
        if not positions:
            return []
        where = visible(one_of("document_id", list(places)), one_of("position", positions))
        chunks = [chunk_of(each.payload) for each in newest(every(self._collection, where, FOUND_FIELDS))]
        return [chunk for chunk in chunks if chunk.position in places[chunk.document_id]]

    def vectors(self, document_id: str) -> dict[str, NDArray[np.float32]]:
        where: Condition = {"must": [equals("document_id", document_id), HAS_VECTOR], **VISIBLE}
        fields = ["document_id", "sequence", "text_hash"]
        return {
            held.payload["text_hash"]: held.dense
            for held in newest(every(self._collection, where, fields, with_dense=True))
            if held.dense is not None
        }

    def scan(self) -> Iterator[IndexedChunk]:
        for held, _ in documents(self._collection, "", FOUND_FIELDS):
            yield from (chunk_of(each.payload) for each in held)

    def rows(self, after: str = "", *, document_ids: Sequence[str] = ()) -> Iterator[Batch]:
        fields = [*FOUND_FIELDS, "terms"]
        if not document_ids:
            for held, position in documents(self._collection, after, fields, with_dense=True):
                yield Batch(_rows(held), position)
            return
        for part in _slices(list(document_ids), DOCUMENTS):
            yield Batch(_rows(whole(self._collection, part, fields, with_dense=True)), "")

    def stats(self) -> StoreStats:
        segments, unindexed, size_bytes = self._collection.segments()
        return StoreStats(
            rows=self._collection.count(VISIBLE),
            documents=self._collection.count(visible(equals("position", 0))),
            fragments=segments,
            unindexed_rows=unindexed,
            size_bytes=size_bytes,
            vector_index=self._collection.vector_index,
        )

    # --- care ----------------------------------------------------------------------------------------------------

    def maintain(self, *, force: bool = False) -> bool:
        done = False
        if force or self._written >= self._look_at_lengths:
            self._look_at_lengths = 2 * max(self._written, PAGE)
            done = self._weigh_anew()
        return self._collection.optimize(force=force) or done

    def interrupt(self) -> None:
        self._collection.interrupt()

    def take_lease(self, name: str, holder: str, until: float) -> Lease:
        return take_lease(self._collection, name, holder, until)

    def drop_lease(self, name: str, holder: str) -> None:
        drop_lease(self._collection, name, holder)

    def close(self) -> None:
        self._collection.close()


def _rows(held: Sequence[Held]) -> list[Row]:
    return [Row(chunk_of(each.payload), each.payload["terms"], each.dense) for each in held]


def _slices(values: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(values), size):
        yield list(values[start : start + size])
