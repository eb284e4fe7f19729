"""The order in which a batch becomes lasting: intent in the ledger, then the store, then the outcome in the ledger.

All of it under the writer lock, which is held for one batch, never for a run. What another process did meanwhile is
looked at again under the lock, so that one file never becomes two documents.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from termrag.folders import FoundFile
from termrag.ingest.patience import tend
from termrag.ingest.prepare import Bad, Prepared, Same
from termrag.ingest.tools import Tools
from termrag.ledger import FileEntry, Ledger, new_document_id
from termrag.records import Document, DocumentState, IndexedChunk, Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


BATCH = 500  # documents of one commit that moves or removes


def commit_documents(
    prepared: Sequence[Prepared], vectors: Mapping[str, NDArray[np.float32]], ledger: Ledger, tools: Tools
) -> None:
    """Put documents into the store in one commit, chunks without a known vector by their words alone; a document that
    another process indexed meanwhile is left out."""
    if not prepared:
        return
    store = tools.open_store()
    with ledger.lock():
        given: dict[str, str] = {}
        kept: list[tuple[str, Prepared]] = []
        for each in prepared:
            document_id = _id_for(each, ledger, tools.recipe)
            if document_id is not None and document_id not in given:
                given[document_id] = each.path
                kept.append((document_id, each))
        ledger.begin(given.items())
        for document_id, each in kept:
            if each.work.text is not None:
                ledger.keep_text(document_id, each.work.text.encode("utf-8", "replace").decode())
        store.replace({document_id: _rows(document_id, each, vectors) for document_id, each in kept})
        ledger.finish(
            [_document(document_id, each, vectors) for document_id, each in kept],
            [_entry(document_id, each.file, each.content_hash, tools.recipe) for document_id, each in kept],
        )
        tend(store)


def commit_failures(bad: Sequence[Bad], ledger: Ledger, tools: Tools) -> None:
    """Keep why files could not be read, and take out what they held before."""
    lasting = [each for each in bad if each.is_lasting]
    if not lasting:
        return
    with ledger.lock():
        documents, entries, indexed = [], [], []
        for each in lasting:
            known = ledger.entry(each.work.path) or _still_known(each.work.entry, ledger)
            document_id = known.id if known else new_document_id()
            if known and known.state != DocumentState.FAILED:
                indexed.append((document_id, each.work.path))
            documents.append(_failure(document_id, each))
            entries.append(_entry(document_id, each.work.file, "", tools.recipe))
        if indexed:
            ledger.begin(indexed)
            tools.open_store().delete([document_id for document_id, _ in indexed])
        ledger.finish(documents, entries)


def commit_places(same: Sequence[Same], ledger: Ledger, tools: Tools) -> list[Same]:
    """Give documents whose bytes did not change their new path and time, and return those that were still free to
    take."""
    done: list[Same] = []
    for start in range(0, len(same), BATCH):
        with ledger.lock():
            batch = [each for each in same[start : start + BATCH] if _is_free(each, ledger)]
            changed = [each for each in batch if _needs_store(each)]
            if changed:
                ledger.begin((each.entry.id, each.file.path) for each in changed)
                places = {each.entry.id: (each.file.path, each.file.modified_ns) for each in changed}
                tools.open_store().relocate(places)
            ledger.touch([_touched(each, tools.recipe) for each in batch])
            if changed:
                tend(tools.open_store())
        done += batch
    return done


def commit_removals(entries: Sequence[FileEntry], ledger: Ledger, tools: Tools) -> list[FileEntry]:
    """Take documents out and return those that went; one that moved or was indexed anew meanwhile stays."""
    gone: list[FileEntry] = []
    for start in range(0, len(entries), BATCH):
        with ledger.lock():
            batch = [each for each in entries[start : start + BATCH] if _is_still(each, ledger)]
            ledger.begin_removal([each.id for each in batch])
            stored = [each.id for each in batch if each.state != DocumentState.FAILED]
            if stored:
                tools.open_store().delete(stored)
            ledger.forget([each.id for each in batch])
            if stored:
                tend(tools.open_store())
        gone += batch
    return gone


def _id_for(each: Prepared, ledger: Ledger, recipe: str) -> str | None:
    """The id to write under; None if another process has brought the same bytes in since the plan was made."""
    now = ledger.entry(each.path)
    before = each.work.entry
    if now is None:
        known = _still_known(before, ledger)
        return known.id if known is not None else new_document_id()
    is_news = before is None or before.id != now.id or before.content_hash != now.content_hash
    is_same = now.state == DocumentState.INDEXED and now.content_hash == each.content_hash and now.recipe == recipe
    return None if is_news and is_same else now.id


def _still_known(entry: FileEntry | None, ledger: Ledger) -> FileEntry | None:
    """What the ledger has now of a document that was planned with; None if it is gone, or another file's by now."""
    if entry is None:
        return None
    now = ledger.entry(entry.path)
    return now if now is not None and now.id == entry.id else None


def _is_free(each: Same, ledger: Ledger) -> bool:
    is_place_free = each.entry.path == each.file.path or ledger.entry(each.file.path) is None
    return is_place_free and _still_known(each.entry, ledger) is not None


def _is_still(entry: FileEntry, ledger: Ledger) -> bool:
    now = _still_known(entry, ledger)
    return now is not None and (now.state, now.content_hash) == (entry.state, entry.content_hash)


def _needs_store(each: Same) -> bool:
    return (each.entry.path, each.entry.modified_ns) != (each.file.path, each.file.modified_ns)


def _touched(each: Same, recipe: str) -> FileEntry:
    return replace(
        _entry(each.entry.id, each.file, each.entry.content_hash, each.entry.recipe or recipe),
        state=DocumentState.INDEXED,
    )


def _entry(document_id: str, file: FoundFile, content_hash: str, recipe: str) -> FileEntry:
    return FileEntry(
        document_id,
        file.path,
        DocumentState.INDEXED,
        file.device,
        file.inode,
        file.size,
        file.modified_ns,
        content_hash,
        recipe,
    )


def _document(document_id: str, each: Prepared, vectors: Mapping[str, NDArray[np.float32]]) -> Document:
    content = each.content
    return Document(
        id=document_id,
        path=each.path,
        state=DocumentState.INDEXED,
        size_bytes=each.file.size,
        modified_ns=each.file.modified_ns,
        content_hash=each.content_hash,
        media_type=content.media_type,
        title=_clean(content.title),
        author=_clean(content.author),
        created=content.created,
        language=each.language,
        pages=len(content.pages),
        chunks=len(each.pieces),
        tags=tuple(map(_clean, content.tags)),
        warnings=tuple(map(_clean, content.warnings)),
        indexed_at=time.time(),
        unembedded=sum(piece.hash not in vectors for piece in each.pieces),
    )


def _failure(document_id: str, bad: Bad) -> Document:
    file = bad.work.file
    return Document(
        id=document_id,
        path=file.path,
        state=DocumentState.FAILED,
        size_bytes=file.size,
        modified_ns=file.modified_ns,
        content_hash="",
        error=_clean(bad.message),
        hint=_clean(bad.hint),
        indexed_at=time.time(),
    )


def _rows(document_id: str, each: Prepared, vectors: Mapping[str, NDArray[np.float32]]) -> list[Row]:
    content = each.content
    return [
        Row(
            IndexedChunk(
                document_id=document_id,
                position=piece.chunk.position,
                path=each.path,
                title=_clean(content.title),
                heading=_clean(piece.chunk.heading),
                page=piece.chunk.page,
                page_label=piece.chunk.page_label,
                start_line=piece.chunk.start_line,
                end_line=piece.chunk.end_line,
                lines_match=content.lines_match,
                text=_clean(piece.chunk.text),
                text_hash=piece.hash,
                content_hash=each.content_hash,
                media_type=content.media_type,
                language=each.language,
                modified_ns=each.file.modified_ns,
            ),
            _clean(piece.terms),
            vectors.get(piece.hash),
        )
        for piece in each.pieces
    ]


def _clean(text: str) -> str:
    """Valid Unicode: half a surrogate pair, which no store takes, becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
