"""The contract of the index, and the one lazy factory; knows nothing of files, models or questions.

A store holds all that a reader needs, so that any number of readers can answer from it alone. A document's chunks
are replaced in one commit: a reader sees the old ones or the new ones, never a mixture and never none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from termrag.errors import ConfigError
from termrag.records import Filters, IndexedChunk, Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes vectors and words of one library comparable. A mismatch raises LibraryMismatch."""

    embedder: str
    dimension: int
    chunker: str
    analyzer: str


@dataclass(frozen=True, slots=True)
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


class Store(Protocol):
    """One open index. Safe to call from several threads; writers of several processes take turns by the ledger's lock,
    which the caller holds around all that changes it. A row without a vector is found by its words alone."""

    def identity(self) -> Identity | None:
        """What the index was made with; None for a new one."""

    def replace(self, documents: Mapping[str, Sequence[Row]]) -> None:
        """Make the documents hold exactly these rows, all in one commit; an empty sequence removes a document.
        Repeating a call changes nothing. Raises StoreBusy or StoreUnavailable."""

    def fill(self, document_ids: Sequence[str], vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Give the chunks of these documents that have no vector the one under their `text_hash`, in one commit."""

    def relocate(self, places: Mapping[str, tuple[str, int]]) -> None:
        """Give documents a new (path, modified_ns) in one commit, keeping their chunks and vectors."""

    def delete(self, document_ids: Sequence[str]) -> None:
        """Remove documents in one commit; unknown ids are ignored."""

    def search_vector(self, vector: NDArray[np.float32], limit: int, filters: Filters) -> list[Found]:
        """Nearest chunks by cosine, best first. Filters apply before the limit."""

    def search_terms(self, terms: str, limit: int, filters: Filters) -> list[Found]:
        """Best chunks by BM25 of analysed, space-separated terms, best first; empty for no terms."""

    def chunks(self, document_id: str, positions: Sequence[int] | None = None) -> list[IndexedChunk]:
        """A document's chunks by position; all of them for None."""

    def vectors(self, document_id: str) -> dict[str, NDArray[np.float32]]:
        """A document's vectors by `text_hash`: what need not be embedded again; without those still to come."""

    def scan(self) -> Iterator[IndexedChunk]:
        """Every chunk of one consistent snapshot, grouped by nothing; for rebuilding the ledger and for checks."""

    def stats(self) -> StoreStats:
        """Counts and sizes."""

    def version(self) -> int:
        """Another number after every write of any process."""

    def maintain(self, *, force: bool = False) -> bool:
        """Compact and index where due (always, if forced); True if anything was done."""

    def close(self) -> None:
        """Release everything; idempotent."""


def open_store(kind: str, folder: Path, identity: Identity | None, *, create: bool) -> Store:
    """Open the store in `folder`, or make it where `create` says so (then `identity` is needed).

    Without an identity whatever is there is opened, to be looked at. Raises StoreUnavailable where there is none,
    LibraryMismatch where it was made with another identity.
    """
    if kind == "lancedb":
        from termrag.stores.lancedb import open_lance

        return open_lance(folder, identity, create=create)
    raise ConfigError(f"library.store: there is no store called {kind}", "termrag config set library.store lancedb")


def discard_store(kind: str, folder: Path) -> None:
    """Delete the store in `folder` with all that is in it; the first step of a rebuild."""
    if kind == "lancedb":
        from termrag.stores.lancedb import discard_lance

        discard_lance(folder)
