"""Search, and the vectors behind it."""

from __future__ import annotations

from dataclasses import replace

from termrag.events import Failed
from termrag.records import Document, GivenChunk, Hit, Scores
from termrag.server import shapes
from termrag.server.faults import Refused
from termrag.server.filters import filters_of
from termrag.server.operations import Call, Operation, Scope
from termrag.server.results import Hits, Removed, Vector, Vectors


async def search(call: Call) -> Hits:
    """Search by words, by meaning, or by both."""
    body = call.body
    filters = await filters_of(call.rag, body.filters)
    hits = await call.rag.search(body.query, limit=body.limit, filters=filters, mode=body.mode, vector=body.vector)
    return Hits(tuple(hits if body.explain else map(_plain, hits)))


def _plain(hit: Hit) -> Hit:
    """Without how it came to its place."""
    return replace(hit, scores=Scores(hit.scores.fused))


async def upsert(call: Call) -> Document:
    """Index a text under a name, whole or in chunks, which may bring their vectors. A rebuild of the index computes all
    vectors anew from the text."""
    body = call.body
    chunks = [GivenChunk(each.text, each.vector) for each in body.chunks or ()]
    async for event in call.rag.ingest_text(body.name, body.text or "", chunks=chunks):
        if isinstance(event, Failed):
            raise Refused(422, "unreadable_file", event.message, event.hint)
    return await call.rag.document(f"stdin:{body.name}")


async def vectors(call: Call) -> Vectors:
    """A document's vectors, in the order of its chunks."""
    document = await call.rag.document(call.path("document"))
    known = await call.rag.vectors(document.id)
    chunks = await call.rag.chunks(document.id)
    found = tuple(
        Vector(each.chunk_id, each.text, tuple(known[each.text_hash]) if each.text_hash in known else None)
        for each in chunks
    )
    return Vectors(document.id, next((len(each) for each in known.values()), 0), found)


async def delete_vectors(call: Call) -> Removed:
    """Take a document and its vectors out of the index."""
    document = await call.rag.document(call.path("document"))
    async for _ in call.rag.remove([document.id]):
        pass
    return Removed(1)


OPERATIONS = (
    Operation(
        "POST", "/api/v1/search", search, "Search the documents", "search", Scope.READ, body=shapes.Search, result=Hits
    ),
    Operation(
        "POST",
        "/api/v1/vectors",
        upsert,
        "Index a text under a name",
        "vectors",
        Scope.WRITE,
        body=shapes.Upsert,
        result=Document,
    ),
    Operation(
        "GET", "/api/v1/vectors/{document}", vectors, "A document's vectors", "vectors", Scope.READ, result=Vectors
    ),
    Operation(
        "DELETE",
        "/api/v1/vectors/{document}",
        delete_vectors,
        "Take a document out of the index",
        "vectors",
        Scope.WRITE,
        result=Removed,
    ),
    Operation(
        "POST",
        "/api/v1/vectors/search",
        search,
        "The same as /api/v1/search",
        "vectors",
        Scope.READ,
        body=shapes.Search,
        result=Hits,
    ),
)
