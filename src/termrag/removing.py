"""Documents taken out so that they can come back as they were: same id, same vectors, nothing read again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from termrag import analysis
from termrag.errors import NotFound
from termrag.events import Indexed, IngestEvent
from termrag.ingest import remove_entries
from termrag.ingesting import ingest
from termrag.ledger import FileEntry, Ledger
from termrag.records import Document, DocumentState, IndexedChunk, Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from termrag.parts import Embed, Parts
    from termrag.stores import Store

_MOST_CHUNKS = 20_000  # so many are kept, some 50 MB; documents beyond come back from their files


@dataclass(frozen=True, slots=True)
class _Kept:
    document: Document
    entry: FileEntry
    chunks: Sequence[IndexedChunk]
    vectors: dict[str, NDArray[np.float32]]
    text: str | None


@dataclass(slots=True)
class Taken:
    """What was taken out at once, for `bring_back`: `kept` whole, `others` by their paths."""

    kept: list[_Kept] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.kept) + len(self.others)


def take_out(parts: Parts, embed: Embed, paths: Sequence[str]) -> Taken:
    """Take documents out, by their paths in the library; the files stay. Unknown paths are passed over."""
    taken = Taken()
    if not parts.has_library():
        return taken
    with parts.ingesting(embed) as (ledger, tools):
        entries = [entry for path in paths if (entry := ledger.entry(path)) is not None]
        left = _MOST_CHUNKS
        for entry in entries:
            kept = _keep(entry, ledger, tools.open_store, left) if left > 0 else None
            if kept is None:
                taken.others.append(entry.path)
            else:
                taken.kept.append(kept)
                left -= len(kept.chunks)
        before = ledger.roots()
        for _ in remove_entries(entries, ledger=ledger, tools=tools):
            pass
        taken.roots = [root for root in before if root not in ledger.roots()]
    return taken


def bring_back(parts: Parts, embed: Embed, taken: Taken) -> Iterator[IngestEvent]:
    """Undo `take_out`. What was added again meanwhile stays as it is; what was not kept is read from its file."""
    with parts.ingesting(embed) as (ledger, tools), ledger.lock():
        free = [each for each in taken.kept if ledger.entry(each.entry.path) is None]
        ledger.begin([(each.document.id, each.document.path) for each in free])
        rows = {each.document.id: _rows(each) for each in free if each.chunks}
        if rows:
            tools.open_store().replace(rows)
        ledger.finish([each.document for each in free], [each.entry for each in free])
        for each in free:
            if each.text is not None:
                ledger.keep_text(each.document.id, each.text)
        ledger.add_roots(taken.roots)
        if rows:
            tools.open_store().maintain()
    for each in free:
        yield Indexed(each.document.path, len(each.chunks), 0, 0.0)
    if taken.others:
        others = [Path(path) for path in taken.others]
        yield from ingest(parts, others, embed)


def _keep(entry: FileEntry, ledger: Ledger, open_store: Callable[[], Store], most_chunks: int) -> _Kept | None:
    """None for what is too large, or not whole."""
    with suppress(NotFound):
        document = ledger.document(entry.path)
        if document.state == DocumentState.FAILED:
            return _Kept(document, entry, (), {}, None)
        if document.state == DocumentState.INDEXED and document.chunks <= most_chunks:
            store = open_store()
            return _Kept(document, entry, store.chunks(entry.id), store.vectors(entry.id), ledger.text(entry.id))
    return None


def _rows(each: _Kept) -> list[Row]:
    return [
        Row(chunk, _terms(chunk, each.document.language), each.vectors.get(chunk.text_hash)) for chunk in each.chunks
    ]


def _terms(chunk: IndexedChunk, language: str) -> str:
    return analysis.terms(analysis.indexable(chunk.title, chunk.heading, chunk.text), language)
