"""A library of small texts in a real store, with vectors that need no model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from termrag.analysis import ANALYZER_VERSION, indexable, terms
from termrag.records import IndexedChunk, Row
from termrag.stores import Identity, Store, open_store

DIMENSION = 64

Fill = Callable[[Sequence[IndexedChunk]], Store]


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors of letter triples: texts that are spelled alike lie near each other."""
    vectors = np.full((len(texts), DIMENSION), 0.001, np.float32)
    for vector, text in zip(vectors, texts, strict=True):
        for start in range(len(text) - 2):
            vector[crc32(text[start : start + 3].lower().encode()) % DIMENSION] += 1
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def chunk(path: str, text: str, position: int = 0, **changes: object) -> IndexedChunk:
    """A chunk of the document at `path`, ten lines a chunk."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    made = IndexedChunk(
        document_id=path.strip("/").replace("/", "-"),
        position=position,
        path=path,
        title="",
        heading="",
        page=None,
        page_label="",
        start_line=10 * position + 1,
        end_line=10 * position + 10,
        lines_match=True,
        text=text,
        text_hash=digest,
        content_hash=path,
        media_type="text/plain",
        language="en",
        modified_ns=0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def fill(tmp_path: Path) -> Iterator[Fill]:
    """Writes chunks to a fresh store, as ingest would, and gives the store."""
    store = open_store(
        "lancedb", tmp_path / "index", Identity("triples", DIMENSION, "1", ANALYZER_VERSION), create=True
    )

    def write(chunks: Sequence[IndexedChunk]) -> Store:
        documents: dict[str, list[Row]] = {}
        for each in chunks:
            seen = indexable(each.title, each.heading, each.text)
            row = Row(each, terms(seen, each.language), embed([seen])[0])
            documents.setdefault(each.document_id, []).append(row)
        store.replace(documents)
        return store

    yield write
    store.close()
