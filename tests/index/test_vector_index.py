"""The index over the vectors of a large library: made when there are vectors enough, and true to exact search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index.test_store import row
from termrag.records import Filters, Row
from termrag.stores import Identity, Store, lancedb, open_store

ENOUGH = 600
QUERIES = 100  # the index is trained by chance each time
TOPICS = 20  # texts have neighbours; an index of lists lives on that
DIMENSION = 16


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(lancedb, "_VECTOR_INDEX_ROWS", ENOUGH)
    return open_store("lancedb", tmp_path / "store", Identity("embedder", DIMENSION, "1/256", "1"), create=True)


def rows(document: str, count: int, *, with_vectors: bool) -> list[Row]:
    numbers = np.random.default_rng(5)
    near = numbers.standard_normal((TOPICS, DIMENSION))[numbers.integers(0, TOPICS, count)]
    vectors = (near + 0.5 * numbers.standard_normal((count, DIMENSION))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    made = [row(document, position, f"{document} {position}") for position in range(count)]
    return [replace(each, vector=vector if with_vectors else None) for each, vector in zip(made, vectors, strict=True)]


def test_rows_that_wait_for_their_vectors_make_no_index(store: Store) -> None:
    store.replace({"words": rows("words", ENOUGH, with_vectors=False), "both": rows("both", 1, with_vectors=True)})
    assert store.maintain(force=True)
    assert store.stats().vector_index == ""
    assert store.search_vector(rows("both", 1, with_vectors=True)[0].vector, 5, Filters())


def test_enough_vectors_make_one_that_finds_what_exact_search_finds(store: Store) -> None:
    written = rows("both", ENOUGH, with_vectors=True)
    store.replace({"both": written})
    before = [store.search_vector(each.vector, 10, Filters()) for each in written[:QUERIES]]
    assert store.maintain(force=True)
    assert store.stats().vector_index
    after = [store.search_vector(each.vector, 10, Filters()) for each in written[:QUERIES]]
    same = sum(
        len({hit.chunk.position for hit in old} & {hit.chunk.position for hit in new})
        for old, new in zip(before, after, strict=True)
    )
    assert same / (10 * QUERIES) >= 0.95
