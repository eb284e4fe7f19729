"""One thread that runs blocking work in order, and the asyncio side that waits for it; knows nothing of the work.

A generator is pulled one item per hop, always on the lane's thread: that gives back-pressure, lets two streams on one
lane take turns, and runs clean-up on the thread that owns what is cleaned up. One that yields Pending is pulled again
when that is over; meanwhile the lane is free for the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar, cast

from termrag.pending import Later, Pending

P = ParamSpec("P")
T = TypeVar("T")

_END = object()


class Lane:
    """A named thread, or several for work that needs no order among itself: such a lane has no streams. Closing it
    waits for the work in hand."""

    def __init__(self, name: str, threads: int = 1) -> None:
        self.name = name
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` on the lane and return what it returns or raise what it raises."""
        context = contextvars.copy_context()
        return await asyncio.wrap_future(self._pool.submit(lambda: context.run(work, *args, **kwargs)))

    def later(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Later[T]:
        """The same for a generator of another lane, which need not wait there."""
        return Later(self._pool.submit(work, *args, **kwargs))

    def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for a caller on another thread, who waits. Never call it from the lane itself."""
        return self._pool.submit(work, *args, **kwargs).result()

    async def stream(self, start: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
        """Start an iterator on the lane and yield its items, but for what is pending. Closing the stream closes the
        iterator there, as soon as the item in hand is done; a loop that may be left early therefore stands in
        `contextlib.aclosing`."""
        iterator = await self.run(start)
        try:
            while (item := await self._next(iterator)) is not _END:
                yield cast("T", item)
        finally:
            if isinstance(iterator, Generator):
                await _finish(self.run(iterator.close))

    async def _next(self, iterator: Iterator[object]) -> object:
        outcome: Future[object] = Future()
        self._pool.submit(contextvars.copy_context().run, self._advance, iterator, outcome)
        return await asyncio.wrap_future(outcome)

    def _advance(self, iterator: Iterator[object], outcome: Future[Any]) -> None:
        """On the lane: pull once; what is pending comes back here without a way over the reader's thread."""
        if outcome.cancelled():
            return
        try:
            item = next(iterator, _END)
        except BaseException as error:
            _settle(outcome, outcome.set_exception, error)
            return
        if isinstance(item, Pending):
            context = contextvars.copy_context()
            item.when_over(lambda: self._again(context, iterator, outcome))
        else:
            _settle(outcome, outcome.set_result, item)

    def _again(self, context: contextvars.Context, iterator: Iterator[object], outcome: Future[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the lane is closed, and nobody waits any more
            self._pool.submit(context.run, self._advance, iterator, outcome)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _settle(outcome: Future[Any], settle: Callable[[Any], None], value: object) -> None:
    """Unless the reader is gone."""
    if outcome.set_running_or_notify_cancel():
        settle(value)


async def _finish(work: Coroutine[None, None, None]) -> None:
    """Wait for clean-up even while being cancelled, and be cancelled then; a second cancellation stops the waiting, not
    the clean-up."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
        raise
