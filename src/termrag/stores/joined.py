"""Several stores of one embedder searched as one; for reading alone.

Cosines of one embedder and BM25 scores of one analyser can be compared across stores, so each leg is one ranking by
score, and what fuses the two legs need not know that there are several. BM25 weighs a word by how rare it is in its own
store: where the same word is common in one and rare in another, the latter's chunks come first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from heapq import nlargest
from typing import TYPE_CHECKING

from termrag.records import Filters, IndexedChunk
from termrag.stores import Found, Searchable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class JoinedStore:
    """Stores by the name of their collection, which every chunk then carries."""

    def __init__(self, stores: Mapping[str, Searchable]) -> None:
        self._stores = dict(stores)
        self._home: dict[str, str] = {}  # document to collection, of what was found

    def search_vector(
        self, vector: NDArray[np.float32], limit: int, filters: Filters, *, exact: bool = False
    ) -> list[Found]:
        return self._best(lambda store: store.search_vector(vector, limit, filters, exact=exact), limit)

    def search_terms(self, terms: str, limit: int, filters: Filters) -> list[Found]:
        return self._best(lambda store: store.search_terms(terms, limit, filters), limit)

    def chunks_at(self, places: Mapping[str, Set[int]]) -> list[IndexedChunk]:
        found = []
        for name, store in self._stores.items():
            wanted = {each: at for each, at in places.items() if self._home.get(each, name) == name}
            found += [replace(chunk, collection=name) for chunk in store.chunks_at(wanted)] if wanted else []
        return found

    def _best(self, search: Callable[[Searchable], list[Found]], limit: int) -> list[Found]:
        every = [
            Found(replace(found.chunk, collection=name), found.score)
            for name, store in self._stores.items()
            for found in search(store)
        ]
        best = nlargest(limit, every, key=lambda found: found.score)
        self._home.update((found.chunk.document_id, found.chunk.collection) for found in best)
        return best
