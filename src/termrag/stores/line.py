"""The line to a server: what is tried again, when it is given up, and when nobody asks for a while; knows no client.

A search waits for nothing: its second try follows at once, and only where no answer came at all. A write is tried for
some seconds, longer each time. After some failures in a row the line counts as broken: calls fail at once until its
pause is over, then one of them tries.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from termrag.errors import StoreUnavailable, StoreUnreachable
from termrag.logs import logger

_READ_TRIES = 2
_WRITE_TRIES = 5
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 30.0
_PAUSES_S = (1.0, 2.0, 5.0, 10.0)
_BROKEN_AFTER = 2  # calls in a row that were given up

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fault:
    """What an error of a client means: `error` is for the user. `passes` tells whether it may be gone at the next try,
    `was_heard` whether the server may be at work on it, `wait_s` for how long it asks to be left alone."""

    error: StoreUnavailable
    passes: bool = False
    was_heard: bool = True
    wait_s: float = 0.0


class Line:
    """One server, as this process has met it. Safe to use from several threads."""

    def __init__(
        self, url: str, judge: Callable[[Exception], Fault | None], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """`judge` says what an error means; None for one that is none of the line's."""
        self._url = url
        self._judge = judge
        self._sleep = sleep
        self._lock = threading.Lock()
        self._failed = 0
        self._broken_until = 0.0

    def read(self, call: Callable[[], _T]) -> _T:
        """Ask; what fails, fails soon. Raises StoreUnreachable, StoreUnavailable."""
        return self._call(call, _READ_TRIES, is_write=False)

    def write(self, call: Callable[[], _T]) -> _T:
        """Do what may be repeated. Raises StoreUnreachable, StoreUnavailable."""
        return self._call(call, _WRITE_TRIES, is_write=True)

    def _call(self, call: Callable[[], _T], tries: int, *, is_write: bool) -> _T:
        self._refuse_if_broken()
        for attempt in range(tries):
            try:
                result = call()
            except Exception as error:
                fault = self._judge(error)
                if fault is None:
                    raise
                if not fault.passes:
                    self._note_answer()
                    raise fault.error from error
                if attempt == tries - 1 or (not is_write and (fault.was_heard or fault.wait_s)):
                    self._note_failure()
                    raise fault.error from error
                if is_write:
                    self._sleep(_wait_s(attempt, fault.wait_s))
            else:
                self._note_answer()
                return result
        raise AssertionError("the last try ends above")

    def _refuse_if_broken(self) -> None:
        with self._lock:
            left = self._broken_until - time.monotonic()
            if left > 0:
                raise StoreUnreachable(
                    f"Qdrant at {self._url} has not answered {self._failed} times; the next try is in {left:.0f} s",
                    "Start the server, or check qdrant.url: termrag config show",
                )
            if self._broken_until:  # this call tries; others wait for what it finds
                self._broken_until = time.monotonic() + 1.0

    def _note_answer(self) -> None:
        with self._lock:
            if self._broken_until:
                logger.warning("qdrant answers again")
            self._failed, self._broken_until = 0, 0.0

    def _note_failure(self) -> None:
        with self._lock:
            self._failed += 1
            if self._failed >= _BROKEN_AFTER:
                pause_s = _PAUSES_S[min(self._failed - _BROKEN_AFTER, len(_PAUSES_S) - 1)]
                self._broken_until = time.monotonic() + pause_s
                logger.warning("qdrant does not answer failed=%d pause_s=%.0f", self._failed, pause_s)


def _wait_s(attempt: int, asked_s: float) -> float:
    grown: float = _FIRST_WAIT_S * 2**attempt * random.uniform(0.5, 1.5)
    return min(max(grown, asked_s), _LONGEST_WAIT_S)
