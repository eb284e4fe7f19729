"""How well a vector index finds what an exact search finds; knows the contract of stores alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from termrag.records import Filters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from termrag.stores import Store


def recall(store: Store, sample: Sequence[NDArray[np.float32]], limit: int = 10) -> float:
    """Return the share, 0 to 1, of the `limit` nearest chunks that the index finds, over all vectors of the sample.

    A chunk as near as the last of the exact ones counts as found: equal texts have equal vectors, and which of them
    comes first says nothing. An empty sample or store has a recall of 1.
    """
    found, wanted = 0, 0
    for vector in sample:
        exact = store.search_vector(vector, limit, Filters(), exact=True)
        if not exact:
            continue
        least = exact[-1].score - 1e-5
        near = store.search_vector(vector, limit, Filters())
        wanted += len(exact)
        found += len([each for each in near if each.score >= least])
    return found / wanted if wanted else 1.0


def sample_vectors(store: Store, count: int) -> list[NDArray[np.float32]]:
    """Vectors to ask with, at most `count`: halfway between two that the store holds, so that none is an exact hit."""
    import numpy as np

    documents = dict.fromkeys(chunk.document_id for chunk in islice(store.scan(), 4 * count))
    held = [vector for each in documents for vector in store.vectors(each).values()]
    mixed = [(one + other) / 2 for one, other in zip(held[::2], held[1::2], strict=False)]
    return [(each / np.linalg.norm(each)).astype(np.float32) for each in mixed[:count] if np.linalg.norm(each) > 0]
