"""From what the system tells of changes to settled batches, and the loop that works them off; reads no file itself.

Speed comes from the system's notices, truth from the sweeps: a notice that is lost costs time until the next sweep and
nothing else. Whatever stands in the way of work (a full disk, a busy library, a missing model) pauses the loop, says
why, and is tried again.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from termrag import watching
from termrag.errors import EMPTY, TermragError
from termrag.events import Failed, Finished, Held, Indexed, IngestEvent, Moved, Notice, Progress, Removed, Rested
from termrag.lane import Lane
from termrag.ledger import watch_lock
from termrag.logs import logger
from termrag.notices import Eyes
from termrag.parts import Embed, Parts
from termrag.watchstate import WatchState, WatchStatus

GONE_FACTOR = 3  # editors save by delete and create: a path that is gone may be back in a moment
NEVER_SETTLES_S = 60.0  # a file that is always being written is read so often
SECOND_LOOK_S = 60.0  # after deletions that look like a mistake
_DISTURBED_S = 2.0  # after folders have come, gone or moved
_PAUSES_S = (2.0, 5.0, 15.0, 60.0)
_STATUS_S = 1.0
_LOOK_FOR_OTHERS_S = 5.0

WatchEvent = IngestEvent | Rested


class Settler:
    """Which touched paths have been left alone long enough to be looked at. Times are those of one monotonic clock."""

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._touched: dict[str, tuple[float, float]] = {}  # path: first and last touch

    def __len__(self) -> int:
        return len(self._touched)

    def __contains__(self, path: str) -> bool:
        return path in self._touched

    def touch(self, path: str, now: float) -> None:
        first, _ = self._touched.get(path, (now, now))
        self._touched[path] = (first, now)

    def take_due(self, now: float) -> list[str]:
        """The settled paths, each once; they are forgotten here."""
        due = [path for path, (first, last) in self._touched.items() if now >= self._due_at(path, first, last)]
        for path in due:
            del self._touched[path]
        return due

    def next_due(self) -> float:
        """When to look again; infinity for never."""
        times = (min(last + self._settle_s, first + NEVER_SETTLES_S) for first, last in self._touched.values())
        return min(times, default=float("inf"))

    def _due_at(self, path: str, first: float, last: float) -> float:
        quiet_s = self._settle_s if os.path.lexists(path) else GONE_FACTOR * self._settle_s
        return min(last + quiet_s, first + NEVER_SETTLES_S)


_EMPTY_S = 2.0


@dataclass(frozen=True, slots=True)
class _Empty:
    """A file that was empty: when to tell of it, and when it was last written as far as is known."""

    due: float
    written: int
    event: Failed


def _written_at(path: str) -> int:
    """When a file was last written, in nanoseconds; 0 if it is not there."""
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


class Watcher:
    """The loop of the one process that watches a library. Work runs on the lanes; the loop itself only waits."""

    def __init__(
        self, parts: Parts, disk: Lane, models: Lane, embed: Embed, *, poll: bool = False, sure: bool = False
    ) -> None:
        self._parts = parts
        self._disk = disk
        self._models = models
        self._embed = embed
        self._settings = parts.config.watch
        self._sure = sure
        self._settler = Settler(self._settings.settle_s)
        self._notices: deque[str] = deque()
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._eyes = None if poll else Eyes(self._notice)
        self._status = WatchStatus(pid=os.getpid(), started_at=time.time(), polling=poll)
        self._written = 0.0
        self._may_sweep_again = 0.0  # sweeps may take a twentieth of the time
        self._second_look = 0.0  # at deletions that look like a mistake
        self._next_sweep = self._paused_until = self._rest_at = 0.0
        self._retry_at = float("inf")  # by the clock on the wall
        self._failures = 0
        self._empty: dict[str, _Empty] = {}

    async def run(self, *, once: bool = False) -> AsyncGenerator[WatchEvent, None]:
        """Sweep, and then keep the library equal to its folders until the generator is closed. Raises LibraryBusy if
        another process watches."""
        with watch_lock(self._parts.library_folder):
            try:
                async for event in self._look_everywhere():
                    yield event
                for failed_file in self._still_empty(float("inf")) if once else ():
                    yield failed_file
                while not once:
                    try:
                        async for event in self._turn():
                            yield event
                    except (TermragError, OSError) as error:
                        yield Notice(self._pause(error))
            finally:
                if self._eyes is not None:
                    await asyncio.to_thread(self._eyes.close)
                await self._disk.run(watching.release, self._parts)
                self._status = replace(self._status, state=WatchState.OFF, working="", queued=0, eta_s=None)
                await self._write_status()

    def _notice(self, paths: Iterable[str]) -> None:
        """Called from the threads of the system's notices."""
        self._notices.extend(paths)
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._wake.set)

    # --- one turn ------------------------------------------------------------------------------------------------

    async def _turn(self) -> AsyncGenerator[WatchEvent, None]:
        """The most urgent thing there is to do, or the wait for one."""
        now = time.monotonic()
        while self._notices:
            self._settler.touch(self._notices.popleft(), now)
        if self._eyes is not None and (disturbed := list(self._eyes.disturbed.values())):
            self._next_sweep = min(self._next_sweep, max(max(disturbed) + _DISTURBED_S, self._may_sweep_again))
        if self._eyes is not None and self._eyes.is_blind:
            logger.warning("the system's notices have stopped; they are asked for again")
            self._next_sweep = min(self._next_sweep, max(now, self._second_look))
            async for notice in self._attend():
                yield notice
        for failed_file in self._still_empty(now):
            self._count(failed_file)
            yield failed_file
        if now < self._paused_until:
            await self._wait(self._paused_until)
        elif now >= self._next_sweep:
            async for event in self._look_everywhere():
                yield event
        elif due := self._settler.take_due(now):
            async for event in self._work(WatchState.INDEXING, lambda: self._take_in(due)):
                yield event
        elif time.time() >= self._retry_at:
            failed = await self._failed_files()
            async for event in self._work(WatchState.INDEXING, lambda: self._take_in(failed, force=True)):
                yield event
        elif await self._has_vectors_to_come(now):
            async for event in self._work(WatchState.EMBEDDING, lambda: watching.embed_some(self._parts, self._embed)):
                yield event
        elif now >= self._rest_at:
            await self._rest()
            yield Rested()
        else:
            soon = now + _LOOK_FOR_OTHERS_S  # another process may have left vectors to be computed
            again = now + self._retry_at - time.time()
            told = min((each.due for each in self._empty.values()), default=soon)
            await self._wait(min(self._settler.next_due(), self._next_sweep, self._rest_at, soon, again, told))

    def _still_empty(self, now: float) -> list[Failed]:
        """Failures of files that were empty and were left so: many programs empty a file before they write it. One that
        is about to be looked at again is not told of yet."""
        due = [path for path, each in self._empty.items() if each.due <= now and path not in self._settler]
        told = [self._empty.pop(path) for path in due]
        return [each.event for each in told if _written_at(each.event.path) == each.written]

    async def _has_vectors_to_come(self, now: float) -> bool:
        """Asked only when there is nothing more urgent: what has just changed goes first."""
        if self._settler.next_due() <= now + self._settings.settle_s:
            return False
        waiting = await self._disk.run(watching.waiting_chunks, self._parts)
        self._status = replace(self._status, unembedded_chunks=waiting)
        return waiting > 0

    async def _wait(self, until: float) -> None:
        """Until there is news, or a time has come."""
        left = max(until - time.monotonic(), 0.01)
        with suppress(TimeoutError):  # `wait_for` of Python 3.11 loses a cancellation that comes with the news
            async with asyncio.timeout(left):
                await self._wake.wait()
        self._wake.clear()

    async def _attend(self) -> AsyncGenerator[Notice, None]:
        """Have the system tell of changes in what is to be watched now."""
        folders = [each.path for each in await self._disk.run(watching.watched, self._parts)]
        if self._eyes is not None and (why := await asyncio.to_thread(self._eyes.attend, folders)):
            await asyncio.to_thread(self._eyes.close)
            self._eyes = None
            self._status = replace(self._status, polling=True)
            yield Notice(why)

    async def _look_everywhere(self) -> AsyncGenerator[WatchEvent, None]:
        """Attend to what is to be watched now, and sweep."""
        begun = time.monotonic()
        async for notice in self._attend():
            yield notice
        self._next_sweep = float("inf")  # an event may bring it nearer
        async for event in self._work(
            WatchState.SWEEPING, lambda: watching.sweep(self._parts, self._embed, sure=self._sure)
        ):
            yield event
        took = time.monotonic() - begun
        self._may_sweep_again = max(self._may_sweep_again, time.monotonic() + 20 * took)
        pause = self._settings.sweep_s if self._eyes is not None else max(self._settings.poll_s, 20 * took)
        self._next_sweep = min(self._next_sweep, time.monotonic() + pause)
        now = time.time()
        self._status = replace(self._status, last_sweep_at=now, next_sweep_at=now + self._next_sweep - time.monotonic())
        await self._write_status()

    def _take_in(self, touched: Collection[str], *, force: bool = False) -> Iterator[IngestEvent]:
        return watching.take_in(self._parts, self._embed, touched, force=force)

    async def _failed_files(self) -> list[str]:
        now = time.time()
        return [each.path for each in await self._disk.run(watching.retries, self._parts) if each.next_at <= now]

    async def _work(
        self, state: WatchState, start: Callable[[], Iterator[IngestEvent]]
    ) -> AsyncGenerator[WatchEvent, None]:
        """Pass the events of one piece of work on and keep count; what stands in its way pauses the loop."""
        self._status = replace(self._status, state=state, reason="", queued=len(self._settler))
        await self._write_status(often=False)
        try:
            async with aclosing(self._disk.stream(start)) as events:
                async for event in events:
                    if isinstance(event, Failed) and event.message.endswith(EMPTY):
                        due = time.monotonic() + _EMPTY_S
                        self._empty.setdefault(event.path, _Empty(due, _written_at(event.path), event))
                        continue
                    if isinstance(event, Indexed | Removed):
                        self._empty.pop(event.path, None)
                    self._count(event)
                    await self._write_status(often=False)
                    yield event
            self._failures = 0
            self._status = replace(self._status, state=WatchState.IDLE)
        except (TermragError, OSError) as error:
            yield Notice(self._pause(error))
        finally:
            self._status = replace(self._status, working="", queued=len(self._settler), eta_s=None)
        self._rest_at = time.monotonic() + self._settings.idle_s
        retries = await self._disk.run(watching.retries, self._parts)
        self._retry_at = retries[0].next_at if retries else float("inf")
        await self._write_status()

    def _pause(self, error: TermragError | OSError) -> str:
        """Wait, longer each time, and then look everywhere."""
        wait_s = _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
        self._failures += 1
        self._next_sweep = self._paused_until = time.monotonic() + wait_s
        reason = f"{error.message}; {error.hint}" if isinstance(error, TermragError) else str(error)
        logger.warning("watching pauses for %.0f s: %s", wait_s, type(error).__name__)
        self._status = replace(self._status, state=WatchState.PAUSED, reason=reason)
        return f"paused for {wait_s:.0f} s: {reason}"

    async def _rest(self) -> None:
        """Nothing has happened for a while: give the embedder's memory back, and put the store in order."""
        self._rest_at = float("inf")
        with suppress(TermragError):
            await self._disk.run(watching.tidy, self._parts)
        await self._disk.run(self._parts.let_go)
        await self._models.run(self._parts.close_embedder)

    # --- what others see -----------------------------------------------------------------------------------------

    def _count(self, event: IngestEvent) -> None:
        status = self._status
        match event:
            case Progress(current=current):
                self._status = replace(
                    status,
                    working=current,
                    queued=len(self._settler) + max(0, event.files_total - event.files_done),
                    chunks_per_second=event.chunks_per_second,
                    eta_s=event.eta_s,
                )
            case Indexed() | Moved() | Removed():
                self._status = replace(status, done=status.done + 1)
            case Failed():
                self._status = replace(status, failed=status.failed + 1)
            case Held():
                # Nor may another reason make it a second sweep before.
                self._may_sweep_again = self._second_look = time.monotonic() + SECOND_LOOK_S
                self._next_sweep = min(self._next_sweep, self._second_look)
            case Finished(embedded=embedded, seconds=seconds) if embedded and not status.chunks_per_second:
                self._status = replace(status, chunks_per_second=embedded / max(seconds, 1e-3))
            case _:
                pass

    async def _write_status(self, *, often: bool = True) -> None:
        now = time.monotonic()
        if not often and now - self._written < _STATUS_S:
            return
        self._written = now
        with suppress(TermragError):  # a courtesy to others, which must not end the work
            await self._disk.run(watching.write_status, self._parts, self._status)
