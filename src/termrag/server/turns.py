"""Whose turn it is: so many answers at once, so many waiting, not for ever, and nobody behind another's whole queue."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from termrag.server.faults import Refused

_FIRST_GUESS_S = 5.0  # how long an answer takes, before any has ended
_WEIGHT = 0.2  # of the last answer in the mean of all
_LONGEST_RETRY_S = 600


class Turnstile:
    """Lets `concurrent` through at once and `queue` wait, at most `wait_s` each. Those who wait are served in turns,
    one of each user after the other, each user's in the order of their coming; one user may fill half of the queue."""

    def __init__(
        self, concurrent: int, queue: int, wait_s: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.wait_s = wait_s
        self.clock = clock
        self._concurrent = self._free = concurrent
        self._room = queue
        self._takes_s = _FIRST_GUESS_S
        self._waiting: OrderedDict[str, deque[Place]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return sum(map(len, self._waiting.values()))

    @property
    def retry_s(self) -> int:
        """When whoever comes next could be served, at the pace of the last answers."""
        return min(_LONGEST_RETRY_S, max(1, math.ceil((self.waiting + 1) * self._takes_s / self._concurrent)))

    def place(self, user: str) -> Place:
        """Take a turn, or a place in the queue. Raises Refused (429) if there is none."""
        place = Place(self, user)
        if self._free:
            self._free -= 1
            place.call()
            return place
        mine = self._waiting.get(user, ())
        if self.waiting >= self._room or len(mine) >= (self._room + 1) // 2:
            raise Refused(
                429,
                "busy",
                f"{self.waiting} questions wait already",
                f"ask again in {self.retry_s} s",
                Retry_After=str(self.retry_s),
            )
        self._waiting.setdefault(user, deque()).append(place)
        return place

    def took(self, seconds: float) -> None:
        """Note how long an answer has held its turn."""
        self._takes_s += _WEIGHT * (seconds - self._takes_s)

    def give_up(self, place: Place) -> None:
        """Take somebody out of the queue."""
        line = self._waiting.get(place.user)
        if line is not None:
            with suppress(ValueError):
                line.remove(place)
            if not line:
                del self._waiting[place.user]

    def call_next(self) -> None:
        """Hand a turn on, or keep it free."""
        if not self._waiting:
            self._free += 1
            return
        user, line = next(iter(self._waiting.items()))
        place = line.popleft()
        if line:
            self._waiting.move_to_end(user)
        else:
            del self._waiting[user]
        place.call()


class Place:
    """One question's: `async with` waits for the turn and holds it. `leave` gives it back wherever it is."""

    def __init__(self, turnstile: Turnstile, user: str) -> None:
        self.user = user
        self._turnstile = turnstile
        self._called = asyncio.Event()
        self._since: float | None = None
        self._has_left = False

    def call(self) -> None:
        self._called.set()

    async def __aenter__(self) -> Self:
        """Raises Refused (503) after the longest wait."""
        try:
            async with asyncio.timeout(self._turnstile.wait_s):
                await self._called.wait()
        except TimeoutError:
            retry_s = self._turnstile.retry_s
            self.leave()
            raise Refused(
                503,
                "busy",
                f"no turn came within {self._turnstile.wait_s:g} s",
                f"ask again in {retry_s} s",
                Retry_After=str(retry_s),
            ) from None
        except BaseException:
            self.leave()
            raise
        self._since = self._turnstile.clock()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def leave(self) -> None:
        """Idempotent."""
        if self._has_left:
            return
        self._has_left = True
        if not self._called.is_set():
            self._turnstile.give_up(self)
            return
        if self._since is not None:
            self._turnstile.took(self._turnstile.clock() - self._since)
        self._turnstile.call_next()
