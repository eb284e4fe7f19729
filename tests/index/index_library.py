"""A library in a folder with the real readers, chunker, analyser and store, and an embedder that costs nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.store_kinds import Kind
from termrag.converter import Converter
from termrag.events import IngestEvent
from termrag.ingest import Tools, ingest, ingest_text, make_tools, remove
from termrag.ledger import Ledger
from termrag.stores import Identity, Store, discard_store

DIMENSION = 16
IDENTITY = Identity("hashed-words", DIMENSION, "1/64", "1")


def hashed(text: str) -> NDArray[np.float32]:
    """One unit vector per text: its words thrown into DIMENSION buckets."""
    vector = np.full(DIMENSION, 1e-3, dtype=np.float32)
    for word in text.lower().split():
        vector[hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=2).digest()[0] % DIMENSION] += 1
    return vector / np.linalg.norm(vector)


@dataclass
class Library:
    """`embedded` counts the texts that were really embedded."""

    folder: Path
    identity: Identity = IDENTITY
    kind: Kind = field(default_factory=lambda: Kind("lancedb"))
    patience_s: float = 0.0
    embedded: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.folder)
        self.converter = Converter()
        self._store: Store | None = None

    def store(self) -> Store:
        if self._store is None:
            self._store = self.kind.open(self.folder / self.kind.store, self.identity)
        return self._store

    def discard(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
        discard_store(self.kind.store, self.folder / self.kind.store, config=self.kind.config)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded += texts
        return np.stack([hashed(text) for text in texts])

    def tools(self) -> Tools:
        return make_tools(
            embed=self.embed,
            count_tokens=lambda text: len(text.split()),
            open_store=self.store,
            discard_store=self.discard,
            converter=self.converter,
            max_bytes=5_000_000,
            chunk_tokens=64,
            patience_s=self.patience_s,
        )

    def stream(self, *paths: Path, force: bool = False, rebuild: bool = False) -> Iterator[IngestEvent]:
        return ingest(paths, ledger=self.ledger, tools=self.tools(), force=force, rebuild=rebuild)

    def add(self, *paths: Path, force: bool = False, rebuild: bool = False) -> list[IngestEvent]:
        return list(self.stream(*paths, force=force, rebuild=rebuild))

    def add_text(self, name: str, text: str) -> list[IngestEvent]:
        return list(ingest_text(name, text, ledger=self.ledger, tools=self.tools()))

    def remove(self, *references: str) -> list[IngestEvent]:
        return list(remove(references, ledger=self.ledger, tools=self.tools()))

    def contents(self) -> dict[str, list[str]]:
        """Path to the texts of its chunks in order, as the store has them."""
        found: dict[str, list[tuple[int, str]]] = {}
        for chunk in self.store().scan():
            found.setdefault(chunk.path, []).append((chunk.position, chunk.text))
        return {path: [text for _, text in sorted(chunks)] for path, chunks in sorted(found.items())}

    def close(self) -> None:
        self.converter.close()
        self.ledger.close()
        if self._store is not None:
            self._store.close()
