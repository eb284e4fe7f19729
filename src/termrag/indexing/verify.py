"""Ledger and store held against each other, every row read; what does not agree is told, and mended where it can be.

The store is the truth about chunks, the files about documents: what a document lacks is read again from its file, what
no ledger knows is taken out, and a lost ledger is filled from the store.
"""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from termrag.errors import NotFound
from termrag.events import Examined, IngestEvent, VerifyEvent
from termrag.indexing.opening import as_it_is
from termrag.indexing.pace import Pace
from termrag.indexstate import IndexReport, Problem
from termrag.ledger import Ledger, rebuild
from termrag.parts import Embed, Parts
from termrag.records import Document, DocumentState, Row
from termrag.stores import Batch, Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECALL = 0.95
_QUERIES = 50
_DELETED_TOGETHER = 500


@dataclass(slots=True)
class _Stored:
    """What the store holds of one document."""

    path: str
    content_hash: str
    chunks: int = 0
    last: int = -1
    bare: int = 0  # without a vector
    broken: int = 0  # with one that is no direction
    mixed: bool = False  # of two versions of the file

    def take(self, row: Row) -> None:
        import numpy as np

        self.chunks += 1
        self.last = max(self.last, row.chunk.position)
        self.mixed = self.mixed or row.chunk.content_hash != self.content_hash
        if row.vector is None:
            self.bare += 1
        elif not np.isfinite(row.vector).all() or not row.vector.any():
            self.broken += 1


def verify(parts: Parts, embed: Embed, *, fix: bool = False) -> Iterator[VerifyEvent]:
    """Compare, measure recall, and with `fix` mend; ends with Examined. Raises StoreUnavailable where there is no
    store."""
    if not parts.has_library() and not fix:
        raise NotFound("there is no ledger", "termrag index verify --fix fills one from the store")
    with parts.open_ledger() as ledger, as_it_is(parts) as store:
        if fix:
            _fill(ledger, store)
        sample = _Sample()
        problems = yield from _compare(ledger, store, sample)
        if fix:
            problems = _mend(problems, ledger, store)
        recall, found = _recall(store, sample.queries(), fix=fix)
    if fix:
        yield from _take_in(parts, embed)
        problems = _mended(parts, problems)
    with parts.open_ledger() as ledger:
        counts = ledger.counts()
    yield Examined(IndexReport(counts.indexed, counts.chunks, (*problems, *found), recall))


def _fill(ledger: Ledger, store: Store) -> None:
    """Take into the ledger what it has lost, or what another machine has put into a folder that is watched here."""
    with ledger.lock():
        if not ledger.documents():
            rebuild(ledger, store)
        elif store.is_shared:
            rebuild(ledger, store, below=[each.path for each in ledger.watching.folders()])


def _compare(ledger: Ledger, store: Store, sample: _Sample) -> Generator[VerifyEvent, None, list[Problem]]:
    """A generator that returns the problems. Ledger and store are pinned together, so that a commit is no problem;
    where a store has no snapshots, writers wait until all is read."""
    stored: dict[str, _Stored] = {}
    with ledger.lock():
        documents = ledger.documents()
        reading = _read(store.rows(), Pace("reading chunks", ledger.counts().chunks), stored, sample)
        if not store.has_snapshots:
            yield from reading
    yield from reading
    if store.is_shared:  # what this ledger does not know, another machine's may
        known = {each.id for each in documents}
        stored = {document_id: found for document_id, found in stored.items() if document_id in known}
    return list(_problems(documents, stored))


def _read(batches: Iterator[Batch], pace: Pace, stored: dict[str, _Stored], sample: _Sample) -> Iterator[VerifyEvent]:
    """Note in `stored` what there is of each document."""
    for batch in batches:
        for row in batch.rows:
            chunk = row.chunk
            stored.setdefault(chunk.document_id, _Stored(chunk.path, chunk.content_hash)).take(row)
            sample.take(row)
        yield pace.step(len(batch.rows))


def _problems(documents: Sequence[Document], stored: Mapping[str, _Stored]) -> Iterator[Problem]:
    known = {each.id for each in documents}
    for document_id, found in stored.items():
        if document_id not in known:
            yield Problem("orphan", found.path, f"{found.chunks} chunks of no known document", document_id)
    for each in documents:
        held = stored.get(each.id)
        if each.state is DocumentState.PENDING:
            yield Problem("unfinished", each.path, "a run was cut short here", each.id)
        elif each.state is DocumentState.FAILED:
            if held:
                yield Problem("orphan", each.path, f"{held.chunks} chunks of a file that cannot be read", each.id)
        elif held is not None:
            yield from _differences(each, held)
        elif each.chunks:
            yield Problem("missing", each.path, f"none of its {each.chunks} chunks is in the store", each.id)


def _differences(document: Document, found: _Stored) -> Iterator[Problem]:
    def problem(kind: str, detail: str) -> Problem:
        return Problem(kind, document.path, detail, document.id)

    if found.chunks != document.chunks or found.last != found.chunks - 1:
        yield problem("counts", f"{found.chunks} chunks in the store, {document.chunks} in the ledger")
    elif found.mixed or found.content_hash != document.content_hash:
        yield problem("differs", "the store holds another version of the file")
    elif found.path != document.path:
        yield problem("differs", f"the store calls it {found.path}")
    elif found.broken:
        yield problem("vectors", f"{found.broken} vectors are no directions")
    elif found.bare != document.unembedded and not (found.bare and document.unembedded):
        yield problem("vectors", f"{found.bare} vectors are missing, the ledger says {document.unembedded}")


# --- mending -----------------------------------------------------------------------------------------------------


def _mend(problems: Sequence[Problem], ledger: Ledger, store: Store) -> list[Problem]:
    """What can be mended at once; documents that must be read again are marked so, and the next run does it."""
    by_kind: dict[str, list[Problem]] = {}
    done: list[Problem] = []
    for each in problems:
        by_kind.setdefault(_remedy(each, ledger), []).append(each)
    with ledger.lock():
        for remedy, group in by_kind.items():
            ids = [each.document_id for each in group]
            if remedy in ("taken out of the store", "read again"):
                for start in range(0, len(ids), _DELETED_TOGETHER):
                    store.delete(ids[start : start + _DELETED_TOGETHER])
            if remedy == "read again":
                ledger.begin_again(ids)
            elif remedy == "forgotten: its file is gone":
                ledger.forget(ids)
            elif remedy == "counted anew":
                ledger.note_unembedded({each: _bare(store, each) for each in ids})
            elif remedy == "taken from the store":
                _take_from_store(ids, ledger, store)
            done += [replace(each, mended=remedy) for each in group]
    return done


def _remedy(problem: Problem, ledger: Ledger) -> str:
    if problem.kind == "orphan":
        return "taken out of the store"
    is_there = os.path.lexists(problem.path) or ledger.text(problem.document_id) is not None
    if problem.kind == "vectors" and "missing" in problem.detail:
        return "counted anew"
    if is_there:
        return "read again"
    return "forgotten: its file is gone" if problem.kind in ("missing", "unfinished") else "taken from the store"


def _bare(store: Store, document_id: str) -> int:
    return sum(row.vector is None for batch in store.rows(document_ids=[document_id]) for row in batch.rows)


def _take_from_store(document_ids: Sequence[str], ledger: Ledger, store: Store) -> None:
    """The file is gone and its chunks are not: the ledger says from now on what the store holds."""
    known = {each.id: each for each in ledger.documents()}
    entries = {each.id: each for each in ledger.entries().values()}
    documents, files = [], []
    for document_id in document_ids:
        rows = [row for batch in store.rows(document_ids=[document_id]) for row in batch.rows]
        chunk = rows[0].chunk
        bare = sum(row.vector is None for row in rows)
        document, entry = known[document_id], entries[document_id]
        documents.append(
            replace(document, path=chunk.path, content_hash=chunk.content_hash, chunks=len(rows), unembedded=bare)
        )
        files.append(replace(entry, path=chunk.path, content_hash=chunk.content_hash))
    ledger.finish(documents, files)


def _take_in(parts: Parts, embed: Embed) -> Iterator[IngestEvent]:
    """Read what was marked to be read again, and compute the vectors that are missing."""
    from termrag.ingest import ingest

    with parts.ingesting(embed) as (ledger, tools):
        counts = ledger.counts()
        if counts.pending or counts.unembedded:
            yield from ingest([], ledger=ledger, tools=tools, exclude=parts.config.documents.exclude)


def _mended(parts: Parts, problems: Sequence[Problem]) -> list[Problem]:
    """What was read again and did not become a document is not mended, except that a file that is gone is gone."""
    with parts.open_ledger() as ledger:
        documents = {each.id: each for each in ledger.documents()}
    kept = []
    for each in problems:
        now = documents.get(each.document_id)
        if each.mended == "read again" and now is not None and now.state is not DocumentState.INDEXED:
            kept.append(replace(each, mended="", detail=f"{each.detail}; {now.error or 'it was not read again'}"))
        else:
            kept.append(each)
    return kept


# --- recall ------------------------------------------------------------------------------------------------------


class _Sample:
    """Some of the vectors that went by, each as likely as any other."""

    def __init__(self) -> None:
        self._held: list[NDArray[np.float32]] = []
        self._seen = 0

    def take(self, row: Row) -> None:
        if row.vector is None:
            return
        self._seen += 1
        if len(self._held) < 2 * _QUERIES:
            self._held.append(row.vector.copy())
        elif (slot := random.randrange(self._seen)) < len(self._held):
            self._held[slot] = row.vector.copy()

    def queries(self) -> list[NDArray[np.float32]]:
        """Halfway between two of them, so that none is a vector that the store holds."""
        import numpy as np

        middles = [one + other for one, other in zip(self._held[::2], self._held[1::2], strict=False)]
        lengths = [float(np.linalg.norm(each)) for each in middles]
        return [(each / length).astype(np.float32) for each, length in zip(middles, lengths, strict=True) if length > 0]


def _recall(store: Store, queries: Sequence[NDArray[np.float32]], *, fix: bool) -> tuple[float | None, list[Problem]]:
    """How much of what brute force finds the index finds, and whether that is too little."""
    from termrag.stores.recall import recall

    if not queries:
        return None, []
    measured = recall(store, queries)
    if measured >= RECALL:
        return measured, []
    problem = Problem("recall", "", f"the index finds {measured:.1%} of the nearest, {RECALL:.0%} are wanted")
    if fix:
        store.maintain(force=True)
        measured = recall(store, queries)
        problem = replace(problem, mended="indexed anew" if measured >= RECALL else "")
    return measured, [problem]
