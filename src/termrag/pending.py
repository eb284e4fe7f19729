"""A place in a generator where nothing can be done until something happens on another thread.

A generator that yields one asks not to be pulled before it is over. Whoever pulls does other work until then.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress


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
