"""The façade's index as a whole: verified, copied and moved on the disk lane, measured beside it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

from termrag import indexing
from termrag.events import CopyEvent, VerifyEvent
from termrag.indexstate import IndexStats
from termrag.paths import absolute
from termrag.rag.door import Door

T = TypeVar("T")


class Index(Door):
    """The index behind the documents."""

    async def index_stats(self) -> IndexStats:
        """The index in numbers. Raises StoreUnavailable where there is none."""
        return await self._searches.run(indexing.take_stats, self._parts)

    async def verify_index(self, *, fix: bool = False) -> AsyncGenerator[VerifyEvent, None]:
        """Hold ledger and store against each other, ending with Examined; `fix` mends what can be mended."""
        async with aclosing(
            self._indexing(lambda: indexing.verify(self._parts, self._embed_elsewhere, fix=fix))
        ) as events:
            async for event in events:
                yield event

    async def export_index(self, folder: str | Path) -> AsyncGenerator[CopyEvent, None]:
        """Write documents, chunks and vectors to a new folder, ending with Copied. Leaving early takes it away again.
        Raises ConfigError for a folder that is not empty."""
        events = self._indexing(lambda: indexing.export(self._parts, absolute(folder)))
        async with aclosing(events):
            async for event in events:
                yield event

    async def import_index(self, folder: str | Path, *, replace: bool = False) -> AsyncGenerator[CopyEvent, None]:
        """Fill the library from an export, ending with Copied. Raises NotFound or ConfigError for what is no whole
        export, LibraryMismatch, LibraryBusy, and ConfigError for a library that is not empty, unless `replace`."""
        async with aclosing(
            self._indexing(lambda: indexing.import_index(self._parts, absolute(folder), replace=replace))
        ) as events:
            async for event in events:
                yield event

    async def back_up_index(self, folder: str | Path) -> AsyncGenerator[CopyEvent, None]:
        """Write the whole library to a new folder, ending with Copied; others may write meanwhile."""
        events = self._indexing(lambda: indexing.back_up(self._parts, absolute(folder)))
        async with aclosing(events):
            async for event in events:
                yield event

    async def restore_index(self, folder: str | Path, *, replace: bool = False) -> AsyncGenerator[CopyEvent, None]:
        """Make the library what it was when it was backed up, ending with Copied; raises as `import_index`."""
        async with aclosing(
            self._indexing(lambda: indexing.restore(self._parts, absolute(folder), replace=replace))
        ) as events:
            async for event in events:
                yield event

    async def migrate_index(
        self, target: str, *, drop_source: bool = False, replace: bool = False
    ) -> AsyncGenerator[CopyEvent, None]:
        """Move the index to another store, ending with Copied; one that was interrupted goes on where it was. From then
        on the settings name the new store. Raises ConfigError, LibraryBusy, StoreUnavailable."""

        def start() -> Iterator[CopyEvent]:
            return indexing.migrate(self._parts, target, drop_source=drop_source, replace=replace)

        async with aclosing(self._indexing(start)) as events:
            async for event in events:
                yield event
        self.config = self._parts.config

    async def _indexing(self, start: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
        async with aclosing(self._disk.stream(start)) as events:
            async for event in events:
                yield event
