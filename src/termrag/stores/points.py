"""Our rows as points of a Qdrant collection: ids, payloads and BM25 weights; knows neither client nor engine.

A point's id follows from its document, place and the document's content, so that a repeated write makes the same
points. `revision` names one content of a document; `sequence` tells when it was written: the latest holds. A point is
`staged` until all of its revision is there.
"""

from __future__ import annotations

import base64
import hashlib
import os
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from termrag import light
from termrag.records import IndexedChunk, Row
from termrag.stores.filters import path_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DENSE = "dense"
WORDS = "words"

_SPACE = uuid.UUID("6f1c0e0a-3f0b-5d53-9c5e-6a2f1a1b7d11")
# In the order of IndexedChunk's fields.
_CHUNK_FIELDS = (
    "document_id", "position", "path", "title", "heading", "page", "page_label", "start_line", "end_line",
    "lines_match", "text", "text_hash", "content_hash", "media_type", "language", "modified_ns",
)  # fmt: skip
_fields = itemgetter(*_CHUNK_FIELDS)
_written = itemgetter("document_id", "sequence")

# What a search brings back: all but the words.
FOUND_FIELDS = [*_CHUNK_FIELDS, "path_bytes", "sequence"]

# BM25 as the full-text index of LanceDB weighs it, so that both stores rank alike.
_K1 = 1.2
_B = 0.75


@dataclass(frozen=True, slots=True)
class Sparse:
    """Weights of terms, by the number that stands for each."""

    indices: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Point:
    """What is written. `dense` is None while it is not computed yet."""

    id: str
    payload: dict[str, Any]
    words: Sparse
    dense: list[float] | None


@light.dataclass(frozen=True, slots=True)
class Held:
    """What is read: a point's id (empty from a search), payload and, where asked for, its dense vector."""

    id: str
    payload: Mapping[str, Any]
    dense: NDArray[np.float32] | None = None
    score: float = 0.0


def revision_of(document_id: str, rows: Sequence[Row]) -> str:
    """The name of a document's content: all but where its file lies and when it was changed."""
    digest = hashlib.blake2b(digest_size=16)
    for row in rows:
        fields = [getattr(row.chunk, name) for name in _CHUNK_FIELDS if name not in ("path", "modified_ns")]
        digest.update(repr((fields, row.terms)).encode("utf-8", "surrogatepass"))
        digest.update(b"-" if row.vector is None else row.vector.tobytes())
    return f"{document_id}/{digest.hexdigest()}"


def document_of(revision: str) -> str:
    return revision.rpartition("/")[0]


def points_of(rows: Sequence[Row], revision: str, sequence: int, average_terms: float) -> list[Point]:
    """Staged points of one document's rows."""
    return [
        Point(
            id=point_id(row.chunk.chunk_id, revision),
            payload=_payload(row) | {"revision": revision, "sequence": sequence, "chunks": len(rows), "staged": 1},
            words=weigh(row.terms, average_terms),
            dense=None if row.vector is None else row.vector.tolist(),
        )
        for row in rows
    ]


def point_id(chunk_id: str, revision: str) -> str:
    return str(uuid.uuid5(_SPACE, f"{chunk_id}@{revision}"))


def place_of(path: str, modified_ns: int) -> dict[str, Any]:
    """The part of a payload that says where a document lies, with what filters look at."""
    text = path_text(path)
    name = text.rsplit("/", 1)[-1].lower()
    return {
        "path": text,
        "path_bytes": _odd_bytes(path),
        "modified_ns": modified_ns,
        "within": _within(text),
        "endings": [name[i + 1 :] for i, sign in enumerate(name) if sign == "."],
    }


def chunk_of(payload: Mapping[str, Any]) -> IndexedChunk:
    chunk = IndexedChunk(*_fields(payload))
    odd = payload.get("path_bytes")
    return replace(chunk, path=os.fsdecode(base64.b64decode(odd))) if odd else chunk


def newest(found: Iterable[Held]) -> list[Held]:
    """What holds of each document: while one is replaced, old and new points stand side by side for a moment."""
    found = list(found)
    pairs = set(map(_written, [each.payload for each in found]))
    if len(pairs) == len(dict(pairs)):  # nothing is being replaced: nearly always
        return found
    last = dict(sorted(pairs))
    return [each for each in found if last[each.payload["document_id"]] == each.payload["sequence"]]


def weigh(terms: str, average_terms: float) -> Sparse:
    """The part of BM25 that lies in the text: how often it holds each term, against its length. How rare a term is
    comes from the collection when it is searched."""
    words = terms.split()
    flat = _K1 * (1 - _B + _B * len(words) / average_terms)
    weights: dict[int, float] = {}
    for term, count in Counter(words).items():
        number = term_number(term)
        weights[number] = weights.get(number, 0.0) + count * (_K1 + 1) / (count + flat)
    return _sparse(weights)


def asked(terms: str) -> Sparse:
    """A question's terms, each as often as it is asked."""
    weights: dict[int, float] = {}
    for term in terms.split():
        number = term_number(term)
        weights[number] = weights.get(number, 0.0) + 1.0
    return _sparse(weights)


def _sparse(weights: Mapping[int, float]) -> Sparse:
    numbers = sorted(weights)
    return Sparse(numbers, [weights[number] for number in numbers])


@lru_cache(maxsize=200_000)
def term_number(term: str) -> int:
    """The same number for a term everywhere and always; of a million terms a hundred share one."""
    return int.from_bytes(hashlib.blake2b(term.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "little")


def _payload(row: Row) -> dict[str, Any]:
    payload = {name: getattr(row.chunk, name) for name in _CHUNK_FIELDS}
    place = place_of(row.chunk.path, row.chunk.modified_ns)
    return payload | place | {"terms": row.terms, "length": len(row.terms.split())}


def _within(path: str) -> list[str]:
    """The path and every folder above it."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1) if "/".join(parts[:end])]


def _odd_bytes(path: str) -> str | None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return base64.b64encode(os.fsencode(path)).decode()
    return None
