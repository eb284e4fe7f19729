"""The table's columns and the way between them and our values; knows pyarrow, not LanceDB."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from termrag.records import IndexedChunk, Row
from termrag.stores.filters import path_text

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

# What a search brings back, in the order of IndexedChunk's fields: all but the words and the vector.
FOUND_COLUMNS = [
    "document_id", "position", "path", "path_bytes", "title", "heading", "page", "page_label", "start_line", "end_line",
    "lines_match", "text", "text_hash", "content_hash", "media_type", "language", "modified_ns",
]  # fmt: skip

# Makes concurrent upserts of the same new chunk one row. It works only without an index on the column: with one, both
# writers' rows stay, silently.
KEY = {"lance-schema:unenforced-primary-key:position": "1"}


def schema_for(dimension: int) -> pa.Schema:
    """All columns but the key may be NULL: a tombstone has only its place. `path_bytes` is NULL unless the path is no
    UTF-8; then `path` spells its odd bytes out."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("chunk_id", pa.string(), nullable=False, metadata=KEY),
            pa.field("document_id", pa.string()),
            pa.field("position", pa.int32()),
            pa.field("path", pa.string()),
            pa.field("path_bytes", pa.binary()),
            pa.field("title", pa.string()),
            pa.field("heading", pa.string()),
            pa.field("page", pa.int32()),
            pa.field("page_label", pa.string()),
            pa.field("start_line", pa.int32()),
            pa.field("end_line", pa.int32()),
            pa.field("lines_match", pa.bool_()),
            pa.field("text", pa.string()),
            pa.field("text_hash", pa.string()),
            pa.field("content_hash", pa.string()),
            pa.field("media_type", pa.string()),
            pa.field("language", pa.string()),
            pa.field("modified_ns", pa.int64()),
            pa.field("terms", pa.string()),
            pa.field("vector", pa.list_(pa.float32(), dimension)),
        ]
    )


def tombstone_positions(documents: Mapping[str, Sequence[Row]], highest: Mapping[str, int]) -> list[tuple[str, int]]:
    """(document, position) of every old row that the new rows do not overwrite."""
    places: list[tuple[str, int]] = []
    for document, last in highest.items():
        taken = {row.chunk.position for row in documents[document]}
        places.extend((document, position) for position in range(last + 1) if position not in taken)
    return places


def table_of(rows: Sequence[Row], tombstones: Sequence[tuple[str, int]], dimension: int) -> pa.Table:
    """Rows and tombstones as one table. Raises ValueError for a vector of another dimension."""
    import numpy as np
    import pyarrow as pa

    schema = schema_for(dimension)
    records = [_record(row) for row in rows]
    records += [
        {"chunk_id": f"{document}#{position:06d}", "document_id": document, "position": position}
        for document, position in tombstones
    ]
    vectors = np.zeros((len(records), dimension), dtype=np.float32)
    for index, row in enumerate(rows):
        if row.vector is None:
            continue
        if row.vector.shape != (dimension,):
            raise ValueError(f"the vector has shape {row.vector.shape}, not ({dimension},)")
        vectors[index] = row.vector
    if not np.isfinite(vectors).all():
        raise ValueError("a vector holds what is no number")
    lacks = [row.vector is None for row in rows] + [True] * len(tombstones)
    columns = [
        pa.array([record.get(field.name) for record in records], field.type)
        if field.name != "vector"
        else pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimension, mask=pa.array(lacks, pa.bool_()))
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def with_places(table: pa.Table, places: Mapping[str, tuple[str, int]]) -> pa.Table:
    """The same rows with each document's new path and time."""
    import pyarrow as pa

    found = [places[document] for document in table["document_id"].to_pylist()]
    changed = {
        "path": pa.array([path_text(path) for path, _ in found], pa.string()),
        "path_bytes": pa.array([_odd_bytes(path) for path, _ in found], pa.binary()),
        "modified_ns": pa.array([modified_ns for _, modified_ns in found], pa.int64()),
    }
    for name, column in changed.items():
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), column)
    return table


def with_vectors(table: pa.Table, vectors: Mapping[str, NDArray[np.float32]], dimension: int) -> pa.Table:
    """Those rows whose `text_hash` has a vector, with it."""
    import numpy as np
    import pyarrow as pa

    hashes = table["text_hash"].to_pylist()
    table = table.filter(pa.array([each in vectors for each in hashes], pa.bool_()))
    given = [vectors[each] for each in hashes if each in vectors]
    matrix = np.stack(given).astype(np.float32) if given else np.zeros((0, dimension), np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), dimension)
    return table.set_column(table.schema.get_field_index("vector"), table.schema.field("vector"), column)


def chunks_of(table: pa.Table) -> list[IndexedChunk]:
    """The chunks of a table that has at least FOUND_COLUMNS, in its order."""
    columns = {name: table[name].to_pylist() for name in FOUND_COLUMNS}
    odd_bytes = columns.pop("path_bytes")
    if any(odd_bytes):
        paths = zip(columns["path"], odd_bytes, strict=True)
        columns["path"] = [path if odd is None else os.fsdecode(odd) for path, odd in paths]
    return [IndexedChunk(*values) for values in zip(*columns.values(), strict=True)]


def rows_of(batch: pa.RecordBatch) -> tuple[Row, ...]:
    """The rows of a batch that has every column, in its order."""
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    column = table["vector"].combine_chunks()
    matrix = column.flatten().to_numpy(zero_copy_only=False)
    has_vector = column.is_valid().to_pylist()
    dimension = column.type.list_size
    given = iter(matrix.reshape(-1, dimension))  # flattening leaves out what is NULL
    vectors = [next(given) if there else None for there in has_vector]
    return tuple(map(Row, chunks_of(table), table["terms"].to_pylist(), vectors))


def _record(row: Row) -> dict[str, Any]:
    chunk = row.chunk
    record = {name: getattr(chunk, name) for name in FOUND_COLUMNS if name not in ("path", "path_bytes")}
    return record | {
        "chunk_id": chunk.chunk_id,
        "path": path_text(chunk.path),
        "path_bytes": _odd_bytes(chunk.path),
        "terms": row.terms,
    }


def _odd_bytes(path: str) -> bytes | None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return os.fsencode(path)
    return None
