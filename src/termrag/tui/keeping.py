"""Watched folders kept in the library while the app is open, where no other process does it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from termrag.errors import LibraryBusy, TermragError

if TYPE_CHECKING:
    from termrag.rag import Rag


class FolderWatch:
    """The watching of one app. `noticed` is called with every event, `report` with what ends it."""

    def __init__(self, noticed: Callable[[object], None], report: Callable[[BaseException], None]) -> None:
        self._noticed = noticed
        self._report = report
        self._task: asyncio.Task[None] | None = None

    @property
    def is_on(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(self, rag: Rag) -> None:
        """Watch, unless this app or another process does."""
        if not self.is_on:
            self._task = asyncio.get_running_loop().create_task(self._watch(rag), name="folder watch")

    async def stop(self) -> None:
        """Leave off, and wait for the end."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self, rag: Rag) -> None:
        try:
            async with aclosing(rag.watch()) as events:
                async for event in events:
                    self._noticed(event)
        except LibraryBusy:
            return  # another process watches: all the better
        except TermragError as error:
            self._report(error)
