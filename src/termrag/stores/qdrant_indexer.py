"""Index the vectors in a folder of an embedded Qdrant that nobody else has open: `python -m ... FOLDER`.

Vectors get codes of four bits a dimension, which are all compared, the nearest then exactly: no graph, whose building
would take hours for a million. Everything else that is searched is read from the disk as it is needed; in memory it
would be two kilobytes a chunk.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any

from termrag.stores.collection import KEYWORDS, NUMBERS
from termrag.stores.points import DENSE, WORDS

_NICE = 10  # whoever searches goes first
_END_WITH_PARENT = 1  # Linux: PR_SET_PDEATHSIG
_SEGMENTS = 12  # only of more some are merged, which reads and writes them whole
_NEVER_KB = 1_000_000_000


def main() -> None:
    """Index; what the engine raises ends the process, its text on stderr."""
    import qdrant_edge as edge

    os.nice(_NICE)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
    folder = sys.argv[1]
    shard = edge.EdgeShard.load(folder)
    dimension = _dimension(shard)
    for name, index in field_indexes().items():
        there = shard.info().payload_schema[name].params
        if there is None or there.memory != index.memory:  # an earlier version made it
            shard.update(edge.UpdateOperation.delete_field_index(name))
            shard.update(edge.UpdateOperation.create_field_index(name, index))
    shard.close()
    shard = edge.EdgeShard.load(folder, _indexing(dimension))
    shard.optimize()
    shard.flush()
    shard.close()


def config(dimension: int, **more: Any) -> Any:
    """What a collection is made with: nothing is indexed but the words and the payload."""
    import qdrant_edge as edge

    cold = edge.Memory.Cold
    more.setdefault("optimizers", edge.EdgeOptimizersConfig(indexing_threshold=_NEVER_KB))
    return edge.EdgeConfig(
        vectors={DENSE: edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Cosine, memory=cold)},
        sparse_vectors={WORDS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf, memory=cold)},
        **more,
    )


def field_indexes() -> dict[str, Any]:
    """The indexes over the payload, by field."""
    import qdrant_edge as edge

    cold = edge.Memory.Cold
    keywords = {name: edge.KeywordIndexParams(memory=cold, enable_hnsw=False) for name in KEYWORDS}
    numbers = {
        name: edge.IntegerIndexParams(lookup=True, range=True, memory=cold, enable_hnsw=False) for name in NUMBERS
    }
    return {**keywords, **numbers}


def _indexing(dimension: int) -> Any:
    import qdrant_edge as edge

    return config(
        dimension,
        quantization_config=edge.TurboQuantQuantizationConfig(
            bits=edge.TurboQuantBitSize.Bits4, memory=edge.Memory.Cached
        ),
        hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=10, payload_m=0),  # no graph
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=1, default_segment_number=_SEGMENTS),
    )


def _dimension(shard: Any) -> int:
    import qdrant_edge as edge

    one = edge.Filter(must=[edge.HasVectorCondition(DENSE)])
    records, _ = shard.scroll(edge.ScrollRequest(limit=1, filter=one, with_payload=False, with_vector=[DENSE]))
    return len(records[0].vector[DENSE])


if __name__ == "__main__":
    main()
