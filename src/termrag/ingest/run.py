"""One run over a plan: files into batches, batches through the embedder, finished documents into the library."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from termrag.errors import StoreUnreachable
from termrag.events import Failed, Finished, Indexed, IngestEvent, Moved, Notice, Planned, Progress, Removed, Skipped
from termrag.ingest.commit import BATCH, commit_documents, commit_failures, commit_places, commit_removals
from termrag.ingest.follow import Embedding, by_length, follow
from termrag.ingest.patience import patiently
from termrag.ingest.plan import Plan, Work
from termrag.ingest.prepare import Bad, Prepared, Same, prepare
from termrag.ingest.tools import Tools
from termrag.ledger import Ledger

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AT_ONCE = 32  # so few texts are embedded before their documents are committed: a second, and one commit less
_MOST_CHUNKS = 2048  # chunks per commit
_MOST_WAITING = 256  # documents that wait for a commit
_COMMIT_S = 2.0  # so long at most: what is read is soon found by its words
_PROGRESS_S = 0.1
_T = TypeVar("_T")

_REMEMBERED = 8192  # vectors kept for copies that follow in the same run


class Run:
    """The state of one run. `flush` makes lasting what is finished, at any moment."""

    def __init__(self, ledger: Ledger, tools: Tools, *, force: bool = False, follow: bool = True) -> None:
        self._ledger = ledger
        self._tools = tools
        self._force = force
        self._follow = follow
        self._patience_s = tools.patience_s
        self._begun = self._committed = time.monotonic()
        self._embedding = Embedding(tools)
        self._shown = 0.0
        self._files_total = self._files_done = 0
        self._bytes_total = self._bytes_done = 0
        self._waiting: list[Prepared] = []
        self._waiting_chunks = 0
        self._missing: dict[str, str] = {}  # texts to embed, by hash
        self._same: list[Same] = []
        self._bad: list[Bad] = []
        self._taken: set[str] = set()  # documents that a file is to become
        self._vectors: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._unclaimed: set[str] = set()  # computed, but not yet counted for a document
        self.indexed = self.unchanged = self.moved = self.removed = self.skipped = self.failed = 0
        self.chunks = 0

    @property
    def embedded(self) -> int:
        """Texts that were embedded."""
        return self._embedding.texts

    def carry_out(self, plan: Plan) -> Iterator[IngestEvent]:
        """Everything but the Finished event."""
        self.unchanged = plan.unchanged
        self._files_total = len(plan.work)
        self._bytes_total = sum(work.file.size for work in plan.work)
        yield _planned(plan)
        for path, reason in plan.skipped:
            self.skipped += 1
            yield Skipped(path, reason)
        for path, reason in plan.failed:
            self.failed += 1
            yield Failed(path, reason, "Check the path.")
        self._same += [Same(move.entry, move.file) for move in plan.moves]
        self._taken |= {move.entry.id for move in plan.moves}
        self._taken |= {work.entry.id for work in plan.work if work.entry is not None}
        yield from self._settle()
        for work in plan.work:
            yield from self._progress(work.path)
            yield from self._take(work)
        while self._waiting or self._bad or self._same:
            if len(self._missing) <= _AT_ONCE:
                self._embed()
            yield from self._settle()
        yield from self._remove(plan)
        if self._follow:
            yield from self._embed_the_rest()

    def remove(self, plan: Plan) -> Iterator[IngestEvent]:
        yield _planned(plan)
        yield from self._remove(plan)

    def finished(self, *, interrupted: bool = False) -> Finished:
        return Finished(
            indexed=self.indexed,
            unchanged=self.unchanged,
            moved=self.moved,
            removed=self.removed,
            skipped=self.skipped,
            failed=self.failed,
            chunks=self.chunks,
            embedded=self.embedded,
            seconds=time.monotonic() - self._begun,
            interrupted=interrupted,
        )

    def flush(self) -> list[IngestEvent]:
        """Commit the documents that were read, and return what happened. Nothing is waited for any more."""
        self._patience_s = 0.0
        return list(self._settle())

    # --- stages --------------------------------------------------------------------------------------------------

    def _take(self, work: Work) -> Iterator[IngestEvent]:
        read = partial(prepare, work, self._ledger, self._tools, force=self._force, taken=self._taken)
        match (yield from self._patiently(read)):
            case Same() as outcome:
                self._same.append(outcome)
                self._taken.add(outcome.entry.id)
                if len(self._same) >= _MOST_CHUNKS:
                    yield from self._settle_same()
            case Bad() as outcome:
                self._bad.append(outcome)
            case Prepared() as outcome:
                self._wait(outcome)
                if self._is_full():
                    yield from self._settle()

    def _wait(self, prepared: Prepared) -> None:
        self._waiting.append(prepared)
        self._waiting_chunks += len(prepared.pieces)
        for piece in prepared.pieces:
            if not self._has(piece.hash, prepared):
                self._missing[piece.hash] = piece.text

    def _is_full(self) -> bool:
        return (
            self._waiting_chunks >= _MOST_CHUNKS
            or len(self._waiting) >= _MOST_WAITING
            or (len(self._missing) > _AT_ONCE and time.monotonic() - self._committed > _COMMIT_S)
        )

    def _has(self, text_hash: str, document: Prepared) -> bool:
        return text_hash in document.known or text_hash in self._vectors

    def _embed(self) -> None:
        """Few texts: their documents are committed with their vectors."""
        for part in by_length(self._missing):
            vectors = self._embedding.embed(part)
            self._vectors.update(vectors)
            self._unclaimed.update(vectors)

    def _settle(self) -> Iterator[IngestEvent]:
        """Commit what is ready. The events come after the commit: what is told is lasting."""
        ready = self._waiting
        known = {text_hash: vector for each in ready for text_hash, vector in each.known.items()}
        vectors = {**self._vectors, **known}
        yield from self._patiently(lambda: commit_documents(ready, vectors, self._ledger, self._tools))
        self._waiting, self._waiting_chunks, self._missing = [], 0, {}
        self._committed = time.monotonic()
        fresh = self._fresh(ready)
        while len(self._vectors) > _REMEMBERED:
            self._vectors.popitem(last=False)
        bad, self._bad = self._bad, []
        yield from self._patiently(lambda: commit_failures(bad, self._ledger, self._tools))
        self.failed += len(bad)
        self._files_done += len(bad)
        self._bytes_done += sum(each.work.file.size for each in bad)
        self._count(ready)
        for each in ready:
            seconds = time.monotonic() - each.begun
            yield Indexed(each.path, len(each.pieces), fresh[each.path], seconds, each.content.warnings)
        for failure in bad:
            yield Failed(failure.work.path, failure.message, failure.hint)
        yield from self._settle_same()

    def _fresh(self, ready: Iterable[Prepared]) -> dict[str, int]:
        """How many vectors each document was the first to need."""
        counts: dict[str, int] = {}
        for each in ready:
            mine = {piece.hash for piece in each.pieces if piece.hash not in each.known}
            counts[each.path] = len(mine & self._unclaimed)
            self._unclaimed -= mine
        return counts

    def _settle_same(self) -> Iterator[IngestEvent]:
        same, self._same = self._same, []
        for start in range(0, len(same), BATCH):
            part = same[start : start + BATCH]
            done = yield from self._patiently(partial(commit_places, part, self._ledger, self._tools))
            for each in done:
                if each.entry.path == each.file.path:
                    self.unchanged += 1
                else:
                    self.moved += 1
                    yield Moved(each.entry.path, each.file.path)
            placed = {each.file.path for each in done}
            for each in part:
                # Another process has taken the document meanwhile.
                if each.file.path not in placed and self._ledger.entry(each.file.path) is None:
                    yield from self._take(Work(each.file))
        self._files_done += len(same)
        self._bytes_done += sum(each.file.size for each in same)

    def _count(self, ready: Sequence[Prepared]) -> None:
        self.indexed += len(ready)
        self.chunks += sum(len(each.pieces) for each in ready)
        self._files_done += len(ready)
        self._bytes_done += sum(each.file.size for each in ready)

    def _remove(self, plan: Plan) -> Iterator[IngestEvent]:
        for start in range(0, len(plan.removals), BATCH):
            part = plan.removals[start : start + BATCH]
            gone = yield from self._patiently(partial(commit_removals, part, self._ledger, self._tools))
            for entry in gone:
                self.removed += 1
                yield Removed(entry.path)

    def _embed_the_rest(self) -> Iterator[IngestEvent]:
        """The vectors that are still to come; after a pause it begins again with the batch that was broken off."""
        while True:
            try:
                yield from follow(self._ledger, self._tools, self._embedding)
            except StoreUnreachable:
                if not self._patience_s:
                    raise
                yield from self._patiently(lambda: self._tools.open_store().stats())
            else:
                return

    def _patiently(self, step: Callable[[], _T]) -> Generator[Notice, None, _T]:
        return patiently(step, self._patience_s)

    def _progress(self, current: str) -> Iterator[IngestEvent]:
        now = time.monotonic()
        if now - self._shown < _PROGRESS_S:
            return
        self._shown = now
        elapsed = now - self._begun
        left = self._bytes_total - self._bytes_done
        yield Progress(
            files_done=self._files_done,
            files_total=self._files_total,
            chunks_done=self.embedded,
            chunks_per_second=self._embedding.rate,
            eta_s=elapsed * left / self._bytes_done if self._bytes_done else None,
            current=current,
        )


def _planned(plan: Plan) -> Planned:
    return Planned(
        add=sum(work.entry is None for work in plan.work),
        change=sum(work.entry is not None for work in plan.work),
        move=len(plan.moves),
        remove=len(plan.removals),
        unchanged=plan.unchanged,
        size_bytes=sum(work.file.size for work in plan.work),
    )
