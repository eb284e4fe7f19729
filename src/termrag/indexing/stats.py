"""The index in numbers: the ledger's beside the store's."""

from __future__ import annotations

from termrag.indexing.opening import as_it_is, place_by
from termrag.indexstate import IndexStats
from termrag.parts import Parts


def take_stats(parts: Parts) -> IndexStats:
    """Open the store as it is, also one made with another setup. Raises StoreUnavailable where there is none."""
    with as_it_is(parts) as store:
        found, identity = store.stats(), store.identity()
    documents = chunks = waiting = 0
    if parts.has_library():
        with parts.open_ledger() as ledger:
            counts = ledger.counts()
        documents, chunks, waiting = counts.indexed, counts.chunks, counts.unembedded
    return IndexStats(
        store=parts.config.library.store,
        place=place_by(parts, parts.config),
        documents=documents,
        chunks=chunks,
        stored_documents=found.documents,
        stored_chunks=found.rows,
        waiting=waiting,
        size_bytes=found.size_bytes,
        fragments=found.fragments,
        unindexed_chunks=found.unindexed_rows,
        vector_index=found.vector_index,
        embedder=identity.embedder if identity else "",
        dimension=identity.dimension if identity else 0,
        chunker=identity.chunker if identity else "",
        analyzer=identity.analyzer if identity else "",
    )
