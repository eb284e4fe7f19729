"""The vectors of documents that are searchable by their words already: the newest first, a batch at a time.

Nothing here has to be finished: what is left waits in the ledger, and whoever comes next goes on with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from termrag import analysis
from termrag.errors import EngineFailed
from termrag.events import Embedded, Progress
from termrag.heap import return_memory
from termrag.ingest.patience import tend
from termrag.ingest.tools import Tools
from termrag.ledger import FileEntry, Ledger

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SLICE = 64  # texts per call of the embedder: so often is there progress, so soon is a run stopped
_DOCUMENTS = 64  # at most, and
_TEXTS = 512  # about, per commit


class Embedding:
    """Texts on their way through the embedder: how many, and how fast."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._seconds = 0.0
        self.texts = 0

    @property
    def rate(self) -> float:
        """Texts per second; 0 until there were any."""
        return self.texts / self._seconds if self._seconds else 0.0

    def embed(self, part: Sequence[tuple[str, str]]) -> dict[str, NDArray[np.float32]]:
        """Vectors by hash, of (hash, text). Raises EngineFailed for what is no vector."""
        import numpy as np

        begun = time.monotonic()
        vectors = self._tools.embed([text for _, text in part])
        self._seconds += time.monotonic() - begun
        if len(vectors) != len(part) or not np.isfinite(vectors).all():
            raise EngineFailed("the embedding model gave what is no vector", "termrag doctor")
        self.texts += len(part)
        return {text_hash: vector for (text_hash, _), vector in zip(part, vectors, strict=True)}


def by_length(texts: Mapping[str, str]) -> Iterator[list[tuple[str, str]]]:
    """(hash, text) in slices of like length: the embedder pads each to the longest of its batch."""
    ordered = sorted(texts.items(), key=lambda item: len(item[1]))
    for start in range(0, len(ordered), SLICE):
        yield ordered[start : start + SLICE]


def follow(ledger: Ledger, tools: Tools, embedding: Embedding, *, once: bool = False) -> Iterator[Embedded | Progress]:
    """Embed what waits until nothing does; with `once` one batch. Leaving early keeps every batch that was told."""
    files_total, files_done = ledger.counts().unembedded, 0
    left = ledger.waiting_chunks() if files_total else 0
    while batch := ledger.waiting(_DOCUMENTS, _TEXTS):
        texts = _lacking(batch, tools)
        vectors: dict[str, NDArray[np.float32]] = {}
        for part in by_length(texts):
            vectors.update(embedding.embed(part))
            left = max(0, left - len(part))
            eta_s = left / embedding.rate if embedding.rate else None
            yield Progress(files_done, files_total, embedding.texts, embedding.rate, eta_s)
        with ledger.lock():
            store = tools.open_store()
            store.fill([each.id for each in batch], vectors)
            ledger.note_embedded(batch)
            tend(store)
        if len(batch) == _DOCUMENTS or len(texts) >= _TEXTS:
            return_memory()  # LanceDB's threads keep what full batches have freed, and a long run would grow with them
        files_done += len(batch)
        yield Embedded(len(batch), len(texts))
        if once:
            return


def _lacking(batch: Sequence[FileEntry], tools: Tools) -> dict[str, str]:
    """What has no vector, by hash."""
    texts: dict[str, str] = {}
    for found in tools.open_store().rows(document_ids=[each.id for each in batch]):
        for row in found.rows:
            if row.vector is None:
                chunk = row.chunk
                texts[chunk.text_hash] = analysis.indexable(chunk.title, chunk.heading, chunk.text)
    return texts
