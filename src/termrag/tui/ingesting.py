"""Files on their way into the library: jobs one after the other, what each file is at, pause and cancel.

Lives as long as the app, so leaving a screen stops nothing. Screens look at `version` and draw what they like.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from termrag.errors import TermragError
from termrag.events import Embedded, Failed, Finished, Indexed, IngestEvent, Moved, Planned, Progress, Skipped

if TYPE_CHECKING:
    from termrag.rag import Rag
    from termrag.removing import Taken

_MOST_KEPT = 20_000  # files whose outcome is remembered


class FileState(StrEnum):
    """What a file of the queue is at."""

    QUEUED = "queued"
    READING = "reading"
    EMBEDDING = "embedding"  # found by its words, or about to be
    READY = "ready"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


IN_WORK = frozenset((FileState.QUEUED, FileState.READING, FileState.EMBEDDING))


@dataclass(slots=True)
class QueuedFile:
    """One file with its state; `reason` says why it failed or was left out."""

    path: str
    state: FileState = FileState.QUEUED
    size_bytes: int = 0
    reason: str = ""
    hint: str = ""


@dataclass(slots=True)
class Job:
    """What was asked for at once. `start` makes the events; `files` are those it is known to read."""

    title: str
    start: Callable[[], AsyncGenerator[IngestEvent, None]]
    files: Sequence[tuple[str, int]] = ()


@dataclass(slots=True)
class Totals:
    """How far the queue is. `embedding`: files are read, vectors are computed."""

    files_done: int = 0
    files_total: int = 0
    chunks: int = 0
    chunks_per_second: float = 0.0
    eta_s: float | None = None
    embedding: bool = False
    failed: int = 0
    indexed: int = 0
    skipped: int = 0
    began_at: float = field(default_factory=time.monotonic)


class IngestQueue:
    """The jobs of one app. `tell` gets a sentence at the end, with whether all went well; `report` an error."""

    def __init__(self, tell: Callable[[str, bool], None], report: Callable[[BaseException], None]) -> None:
        self.files: dict[str, QueuedFile] = {}
        self.totals = Totals()
        self.last_failure: QueuedFile | None = None
        self.version = 0  # changes with anything there is to see
        self.commits = 0  # changes with what the library holds
        self._tell = tell
        self._report = report
        self._jobs: deque[Job] = deque()
        self._job: Job | None = None
        self._reading = ""
        self._finished_files = 0  # of jobs before the one in hand
        self._going = asyncio.Event()
        self._going.set()
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False

    # --- jobs ----------------------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        return self._job is not None or bool(self._jobs)

    @property
    def is_paused(self) -> bool:
        return not self._going.is_set()

    @property
    def waiting_jobs(self) -> int:
        return len(self._jobs)

    def add(self, rag: Rag, paths: Sequence[str], files: Sequence[tuple[str, int]], *, force: bool = False) -> None:
        """Take files and folders in, after what is in hand. `files` are (path, bytes) of what will be read."""
        self.put(Job("added", lambda: rag.ingest(list(paths), force=force), files))

    def reindex(self, rag: Rag, files: Sequence[tuple[str, int]]) -> None:
        """Read files of the library again."""
        self.put(Job("read again", lambda: rag.reindex([path for path, _ in files]), files))

    def sync(self, rag: Rag) -> None:
        """Make the library equal to all that was added or is watched."""
        self.put(Job("synced", lambda: rag.sync()))

    def bring_back(self, rag: Rag, taken: Taken) -> None:
        """Put documents back that were taken out."""
        self.put(Job("brought back", lambda: rag.bring_back(taken), [(path, 0) for path in taken.others]))

    def put(self, job: Job) -> None:
        if not self.is_busy:
            self.files = {}
            self.totals = Totals()
            self.last_failure = None
            self._finished_files = 0
        for path, size in job.files[:_MOST_KEPT]:
            self.files[path] = QueuedFile(path, size_bytes=size)
        self.totals.files_total += len(job.files)
        self._jobs.append(job)
        self.version += 1
        if self._task is None or self._task.done():
            self._cancelled = False
            self._task = asyncio.get_running_loop().create_task(self._work(), name="ingest queue")

    def pause(self) -> None:
        """Stop after the file in hand, or go on."""
        if self.is_paused:
            self._going.set()
        elif self.is_busy:
            self._going.clear()
        self.version += 1

    def cancel(self) -> None:
        """End the job in hand and forget those that wait; what is finished stays."""
        self._jobs.clear()
        self._cancelled = True
        self._going.set()
        if self._task is not None:
            self._task.cancel()
        self.version += 1

    async def close(self) -> None:
        """End, and wait for the end."""
        if self._task is not None and not self._task.done():
            self.cancel()
            await asyncio.wait([self._task])

    # --- work ----------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            while self._jobs:
                self._job = self._jobs.popleft()
                await self._carry_out(self._job)
                self._finished_files += len(self._job.files)
                self._job = None
        finally:
            # What came in while the job was being cancelled begins anew.
            self._job, self._task = None, None
            later, self._jobs = self._jobs, deque()
            self._end()
            for job in later:
                self.put(job)

    async def _carry_out(self, job: Job) -> None:
        try:
            async with aclosing(job.start()) as events:
                async for event in events:
                    self._take(event)
                    if not isinstance(event, Finished):
                        await self._going.wait()
        except TermragError as error:
            self._leave(job, FileState.FAILED, error)
            self._report(error)
        except Exception as error:
            self._leave(job, FileState.FAILED, TermragError(f"unexpected {type(error).__name__}", "termrag doctor"))
            self._report(error)

    def _leave(self, job: Job, state: FileState, error: TermragError) -> None:
        """What a job that ended early has not finished."""
        for path, _ in job.files:
            file = self.files.get(path)
            if file is not None and file.state in IN_WORK and file.state is not FileState.EMBEDDING:
                file.state, file.reason, file.hint = state, error.message, error.hint
        self.version += 1

    def _end(self) -> None:
        was_cancelled, self._cancelled = self._cancelled, False
        for file in self.files.values():
            if file.state in (FileState.QUEUED, FileState.READING):
                file.state = FileState.CANCELLED
            elif file.state is FileState.EMBEDDING:
                file.state = FileState.READY  # what lacks vectors still is marked by the ledger
        self.commits += 1
        self.version += 1
        self._tell(self._outcome(was_cancelled), not self.totals.failed)

    def _outcome(self, was_cancelled: bool) -> str:
        totals = self.totals
        parts = [f"{_files(totals.indexed)} added" if totals.indexed else ""]
        parts.append(f"{totals.failed} failed" if totals.failed else "")
        parts.append(f"{totals.skipped} left out" if totals.skipped else "")
        said = ", ".join(filter(None, parts)) or "nothing to add: all of it is in already"
        chunks = f", {totals.chunks:,} chunks" if totals.chunks else ""
        seconds = time.monotonic() - totals.began_at
        return f"{'cancelled: ' if was_cancelled else ''}{said}{chunks} in {duration(seconds)}"

    # --- events --------------------------------------------------------------------------------------------------

    def _take(self, event: IngestEvent) -> None:
        self.version += 1
        match event:
            case Planned(add, change, move, _, unchanged):
                self._expect(add + change, move + unchanged)
            case Progress():
                self._progress(event)
            case Indexed(path, chunks):
                self._set(path, FileState.EMBEDDING)
                self.totals.indexed += 1
                self.totals.chunks += chunks
                self.totals.files_done += 1
                self.commits += 1
            case Failed(path, message, hint):
                self.totals.failed += 1
                self.totals.files_done += 1
                self.last_failure = self._set(path, FileState.FAILED, message, hint)
                self.commits += 1
            case Skipped(path, reason):
                self.totals.skipped += 1
                if path in self.files:
                    self._set(path, FileState.SKIPPED, reason)
            case Moved(_, new):
                self._set(new, FileState.READY)
                self.commits += 1
            case Embedded():
                self.commits += 1
            case Finished():
                self._finish_job()
            case _:
                self.commits += 1

    def _expect(self, reads: int, rest: int) -> None:
        """What the plan says is truer than what was looked at before."""
        job = self._job
        looked_at = len(job.files) if job is not None else 0
        self.totals.files_total += reads - looked_at if reads or rest else 0

    def _progress(self, event: Progress) -> None:
        totals = self.totals
        totals.chunks_per_second, totals.eta_s = event.chunks_per_second, event.eta_s
        totals.embedding = not event.current
        if event.current and event.current != self._reading:
            if self._reading in self.files and self.files[self._reading].state is FileState.READING:
                self.files[self._reading].state = FileState.EMBEDDING
            self._reading = event.current
            self._set(event.current, FileState.READING)

    def _finish_job(self) -> None:
        """What the run did not speak of was in the library as it is."""
        job = self._job
        for path, _ in job.files if job is not None else ():
            file = self.files.get(path)
            if file is not None and file.state in IN_WORK:
                file.state = FileState.READY
        self.totals.embedding = False

    def _set(self, path: str, state: FileState, reason: str = "", hint: str = "") -> QueuedFile:
        file = self.files.get(path)
        if file is None:
            file = QueuedFile(path)
            if len(self.files) < _MOST_KEPT:
                self.files[path] = file
        file.state, file.reason, file.hint = state, reason, hint
        return file

    # --- words ---------------------------------------------------------------------------------------------------

    def summary(self) -> str:
        """One line for the status line; empty when nothing is in work."""
        if not self.is_busy:
            return ""
        totals = self.totals
        if self.is_paused:
            return f"adding paused at {totals.files_done} of {_files(totals.files_total)}"
        if not totals.files_total:
            return "adding: looking"
        what = (
            "computing vectors" if totals.embedding else f"adding {totals.files_done} of {_files(totals.files_total)}"
        )
        rate = f", {totals.chunks_per_second:.0f} chunks/s" if totals.chunks_per_second else ""
        left = f", {duration(totals.eta_s)} left" if totals.eta_s is not None else ""
        more = f", {self.waiting_jobs} more to come" if self.waiting_jobs else ""
        return what + rate + left + more

    @property
    def share(self) -> float:
        """How much of the files is done, 0 to 1."""
        return min(self.totals.files_done / self.totals.files_total, 1.0) if self.totals.files_total else 0.0


def duration(seconds: float) -> str:
    """A time as people say it: two units at most."""
    if seconds < 60:
        return f"{max(seconds, 0):.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {rest} s" if rest and minutes < 10 else "")
    return f"{minutes // 60} h {minutes % 60} min"


def _files(number: int) -> str:
    return f"{number:,} file" + ("" if number == 1 else "s")
