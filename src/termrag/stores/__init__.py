"""The contract of the index, and the one lazy factory; knows nothing of files, models or questions.

A store holds all that a reader needs, so that any number of readers can answer from it alone. A document's chunks
are replaced in one commit: a reader sees the old ones or the new ones, never a mixture and never none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from termrag import light
from termrag.errors import ConfigError
from termrag.records import Filters, IndexedChunk, Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from termrag.config import Config

MIRROR = "mirror"  # folder beside the store's own, where answers come from while its server does not answer


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes vectors and words of one library comparable. A mismatch raises LibraryMismatch."""

    embedder: str
    dimension: int
    chunker: str
    analyzer: str


@light.dataclass(frozen=True, slots=True)
class Found:
    """One result of one leg: cosine similarity (-1 to 1) for vectors, BM25 (from 0) for words; higher is better."""

    chunk: IndexedChunk
    score: float


@dataclass(frozen=True, slots=True)
class StoreStats:
    """`fragments` and `unindexed_rows` tell whether maintenance is due."""

    rows: int
    documents: int
    fragments: int
    unindexed_rows: int
    size_bytes: int
    vector_index: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a snapshot, and where in it they end: what `rows` goes on from, opaque to whoever keeps it."""

    rows: Sequence[Row]
    position: str


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may write to what `name` names, and until when (seconds since the epoch)."""

    name: str
    holder: str
    until: float


class Searchable(Protocol):
    """What a search needs of a store, or of several together."""

    def search_vector(
        self, vector: NDArray[np.float32], limit: int, filters: Filters, *, exact: bool = False
    ) -> list[Found]:
        """Nearest chunks by cosine, best first; `exact` compares with every vector. Filters apply before the limit."""

    def search_terms(self, terms: str, limit: int, filters: Filters) -> list[Found]:
        """Best chunks by BM25 of analysed, space-separated terms, best first; empty for no terms."""

    def chunks_at(self, places: Mapping[str, Set[int]]) -> list[IndexedChunk]:
        """The chunks at some positions of some documents, in no order; what is not there is left out."""


class Store(Searchable, Protocol):
    """One open index. Safe to call from several threads; writers of several processes take turns by the ledger's lock,
    which the caller holds around all that changes it. A row without a vector is found by its words alone."""

    @property
    def is_shared(self) -> bool:
        """Whether other machines may write to it too: then the ledger's lock alone does not keep writers apart."""

    @property
    def has_snapshots(self) -> bool:
        """Whether `rows` reads one moment while others write; else who needs one holds the writer lock meanwhile."""

    @property
    def notice(self) -> str:
        """What whoever reads should be told, such as that a mirror answers; empty when all is well."""

    def identity(self) -> Identity | None:
        """What the index was made with; None for a new one."""

    def chunks(self, document_id: str) -> list[IndexedChunk]:
        """A document's chunks by position."""

    def replace(self, documents: Mapping[str, Sequence[Row]]) -> None:
        """Make the documents hold exactly these rows, all in one commit; an empty sequence removes a document.
        Repeating a call changes nothing. Raises StoreBusy or StoreUnavailable."""

    def fill(self, document_ids: Sequence[str], vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Give the chunks of these documents that have no vector the one under their `text_hash`, in one commit."""

    def relocate(self, places: Mapping[str, tuple[str, int]]) -> None:
        """Give documents a new (path, modified_ns) in one commit, keeping their chunks and vectors."""

    def delete(self, document_ids: Sequence[str]) -> None:
        """Remove documents in one commit; unknown ids are ignored."""

    def restore(self, rows: Sequence[Row]) -> None:
        """Put rows as they are, in one commit; nothing else of their documents is touched. Repeating changes nothing.
        Raises StoreBusy or StoreUnavailable."""

    def vectors(self, document_id: str) -> dict[str, NDArray[np.float32]]:
        """A document's vectors by `text_hash`: what need not be embedded again; without those still to come."""

    def scan(self) -> Iterator[IndexedChunk]:
        """Every chunk, grouped by nothing; for rebuilding the ledger and for checks. Each document comes whole, as it
        was or as it is; all are of one moment where the store keeps versions, or while nobody writes."""

    def rows(self, after: str = "", *, document_ids: Sequence[str] = ()) -> Iterator[Batch]:
        """Every row with its words and its vector, in batches of about a thousand, of the snapshot that this call
        takes (not the first step of the iterator); only those of some documents, if any are given.

        `after` is the position of the last batch that is done with: it goes on behind that, in the same snapshot, or
        begins anew where the store no longer has it."""

    def stats(self) -> StoreStats:
        """Counts and sizes."""

    def version(self) -> int:
        """Another number after every write of any process."""

    def maintain(self, *, force: bool = False) -> bool:
        """Compact and index where due (always, if forced); True if anything was done."""

    def interrupt(self) -> None:
        """Let a `maintain` that waits for an index give up, from any thread: it raises StoreUnavailable then. One that
        cannot give up ends as it would have."""

    def take_lease(self, name: str, holder: str, until: float) -> Lease:
        """Make `holder` the one who holds `name`, or lengthen its time, unless another's has not run out; return the
        lease that stands. Of two who ask at once one gets it."""

    def drop_lease(self, name: str, holder: str) -> None:
        """Give up a lease; one that another holds stays."""

    def close(self) -> None:
        """Release everything; idempotent."""


def open_store(
    kind: str, folder: Path, identity: Identity | None, *, create: bool, config: Config | None = None
) -> Store:
    """Open the store in `folder`, or make it where `create` says so (then `identity` is needed). The configuration says
    what else there is to say of this kind, such as that it lies elsewhere.

    Without an identity whatever is there is opened, to be looked at. Raises StoreUnavailable where there is none,
    LibraryMismatch where it was made with another identity.
    """
    if kind == "lancedb":
        from termrag.stores.lance_place import place_of
        from termrag.stores.lancedb import open_lance

        return open_lance(place_of(folder, config), identity, create=create)
    if kind == "qdrant":
        from termrag.config import QdrantSettings
        from termrag.stores.qdrant import closed_qdrant, open_qdrant

        settings = config.qdrant if config else QdrantSettings()
        if config and config.library.fallback and settings.url:
            from termrag.stores.mirror import open_mirrored

            store = closed_qdrant(folder, create=create, settings=settings, environ=os.environ)
            return open_mirrored(store, folder.with_name(MIRROR), identity, create=create)
        return open_qdrant(folder, identity, create=create, settings=settings, environ=os.environ)
    raise ConfigError(f"library.store: there is no store called {kind}", "termrag config set library.store lancedb")


def discard_store(kind: str, folder: Path, *, config: Config | None = None) -> None:
    """Delete the store in `folder`, or where the configuration says, with all that is in it; the first step of a
    rebuild."""
    if kind == "lancedb":
        from termrag.stores.lance_place import place_of
        from termrag.stores.lancedb import discard_lance

        discard_lance(place_of(folder, config))
    if kind == "qdrant":
        from termrag.config import QdrantSettings
        from termrag.stores.qdrant import discard_qdrant

        discard_qdrant(folder, settings=config.qdrant if config else QdrantSettings(), environ=os.environ)
        shutil.rmtree(folder.with_name(MIRROR), ignore_errors=True)


def difference(found: Identity, wanted: Identity) -> str:
    """What tells two identities apart, in one sentence."""
    have, want = asdict(found), asdict(wanted)
    parts = [f"{name} {have[name]}, now {want[name]}" for name in have if have[name] != want[name]]
    return f"the library was built with another setup: {'; '.join(parts)}"
