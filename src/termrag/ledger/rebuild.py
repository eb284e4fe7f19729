"""A lost ledger, filled again from what the store holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from termrag.folders import is_below
from termrag.ledger.files import FileEntry, Ledger
from termrag.records import Document, DocumentState

if TYPE_CHECKING:
    from termrag.stores import Store


def rebuild(ledger: Ledger, store: Store, *, below: Sequence[str] | None = None) -> int:
    """Fill an empty ledger from the store and return the number of documents; one that is not empty with what it does
    not know `below` some folders. The next run compares each file's bytes once, and embeds nothing that is in the
    store."""
    found: dict[str, Document] = {}
    known_ids = set() if below is None else {each.id for each in ledger.entries().values()}
    for chunk in store.scan():
        if below is not None and not any(is_below(chunk.path, folder) for folder in below):
            continue
        if chunk.document_id in known_ids:
            continue
        known = found.get(chunk.document_id)
        found[chunk.document_id] = Document(
            id=chunk.document_id,
            path=chunk.path,
            state=DocumentState.INDEXED,
            size_bytes=0,
            modified_ns=0,
            content_hash=chunk.content_hash,
            media_type=chunk.media_type,
            title=chunk.title,
            language=chunk.language,
            pages=max(chunk.page or 0, known.pages if known else 0),
            chunks=(known.chunks if known else 0) + 1,
        )
    files = [
        FileEntry(each.id, each.path, each.state, 0, 0, each.size_bytes, each.modified_ns, each.content_hash, "")
        for each in found.values()
    ]
    ledger.finish(found.values(), files)
    return len(found)
