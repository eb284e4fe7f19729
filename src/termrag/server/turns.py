"""Whose turn it is: so many answers at once, so many waiting, and nobody waits behind another's whole queue."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from termrag.server.faults import Refused

_RETRY_S = 5  # guessed: the length of a short answer


class Turnstile:
    """Lets `concurrent` through at once and `queue` wait. Those who wait are served in turns, one of each user after
    the other, each user's in the order of their coming."""

    def __init__(self, concurrent: int, queue: int) -> None:
        self._free = concurrent
        self._room = queue
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return sum(map(len, self._waiting.values()))

    def check(self) -> None:
        """Raise Refused (429) if nobody more could wait."""
        if not self._free and self.waiting >= self._room:
            raise Refused(
                429, "busy", f"{self.waiting} questions wait already", "ask again later", Retry_After=str(_RETRY_S)
            )

    @asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[None]:
        """Wait for a turn and hold it. Raises Refused (429) if too many wait already."""
        self.check()
        if self._free:
            self._free -= 1
        else:
            await self._wait(user)
        try:
            yield
        finally:
            self._leave()

    async def _wait(self, user: str) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._leave()  # the turn came in the same moment
            elif user in self._waiting and mine in self._waiting[user]:
                self._waiting[user].remove(mine)
                if not self._waiting[user]:
                    del self._waiting[user]
            raise

    def _leave(self) -> None:
        """Hand the turn to the next, or keep it free."""
        while self._waiting:
            user, line = next(iter(self._waiting.items()))
            next_one = line.popleft()
            if line:
                self._waiting.move_to_end(user)
            else:
                del self._waiting[user]
            if not next_one.done():
                next_one.set_result(None)
                return
        self._free += 1
