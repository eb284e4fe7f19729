"""The façade's watched folders."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from termrag import watching
from termrag.events import IngestEvent
from termrag.rag.door import Door
from termrag.watchstate import WatchedFolder, WatchStatus

if TYPE_CHECKING:
    from termrag.watcher import WatchEvent


class Folders(Door):
    """Folders that stay in the index by themselves."""

    async def watch(
        self, *, once: bool = False, poll: bool = False, sure: bool = False
    ) -> AsyncGenerator[WatchEvent, None]:
        """Keep the library equal to the watched folders until the stream is left: a sweep first, `once` only that.
        Without the system's notices (`poll`) sweeps alone find what changed. `sure` applies deletions of most of a
        folder at once. Raises LibraryBusy if another process watches."""
        from termrag.watcher import Watcher

        watcher = Watcher(self._parts, self._disk, self._models, self._embed_elsewhere, poll=poll, sure=sure)
        async with aclosing(watcher.run(once=once)) as events:
            async for event in events:
                yield event

    async def watch_status(self) -> WatchStatus:
        """What the process that watches this library is at, whichever it is."""
        return await self._looks.run(watching.watch_status, self._parts)

    async def watched(self) -> list[WatchedFolder]:
        """The watched folders, by path."""
        return await self._looks.run(watching.watched, self._parts)

    async def watch_folder(
        self, path: str | Path, include: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> WatchedFolder:
        """Remember a folder to be watched. Raises NotFound for what is no folder."""
        return await self._disk.run(watching.watch_folder, self._parts, path, include, exclude)

    async def unwatch(self, path: str | Path) -> None:
        """Forget a watched folder; its documents stay. Raises NotFound."""
        await self._disk.run(watching.unwatch, self._parts, path)

    async def stop_watching(self) -> int | None:
        """Ask the process that watches this library to end, wait for it, and return its number; None if there is
        none."""
        return await self._disk.run(watching.stop_watching, self._parts)

    async def sync(self, *, sure: bool = False) -> AsyncGenerator[IngestEvent, None]:
        """Make the library equal to the watched folders and to all that was added, ending with Finished."""
        events = self._disk.stream(
            lambda: watching.sweep(self._parts, self._embed_elsewhere, sure=sure, with_added=True)
        )
        async with aclosing(events):
            async for event in events:
                yield event

    async def preview_sync(self) -> dict[str, list[str]]:
        """What `sync` would add, change, move and remove: paths by what would happen to them."""
        return await self._disk.run(watching.preview, self._parts)
