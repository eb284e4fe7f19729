"""A place in a generator where nothing can be done until something happens on another thread.

A generator that yields one asks not to be pulled before it is over. Whoever pulls does other work until then.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Pending:
    """Over from the first `end` on, which any thread may call."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: Future[None] = Future()

    @property
    def is_over(self) -> bool:
        return self._future.done()

    def end(self) -> None:
        with suppress(InvalidStateError):  # another was first
            self._future.set_result(None)

    def wait(self, timeout_s: float | None = None) -> None:
        """Block the calling thread until it is over. Raises TimeoutError."""
        self._future.result(timeout_s)

    def when_over(self, call: Callable[[], object]) -> None:
        """Call `call` once: at once if it is over, else on the thread that ends it."""
        self._future.add_done_callback(lambda _: call())


class Later(Generic[T]):
    """What another thread is working out."""

    def __init__(self, future: Future[T]) -> None:
        self._future = future

    def result(self) -> Generator[Pending, None, T]:
        """Yield Pending until it is there; then return it, or raise what went wrong."""
        pending = Pending()
        self._future.add_done_callback(lambda _: pending.end())
        while not pending.is_over:
            yield pending
        return self._future.result()
