"""The façade's documents: taken in and out on the disk lane, looked at beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from termrag import adding, ingesting
from termrag.candidates import AddPreview, FolderEntry, FormatInfo
from termrag.events import IngestEvent
from termrag.rag.door import Door
from termrag.records import Document, GivenChunk, IndexedChunk

if TYPE_CHECKING:
    from termrag.removing import Taken


class Library(Door):
    """The documents of the library and their index."""

    async def ingest(
        self,
        paths: Sequence[str | Path],
        *,
        force: bool = False,
        rebuild: bool = False,
        wait: bool = False,
        sure: bool = False,
    ) -> AsyncGenerator[IngestEvent, None]:
        """Make the library equal to the given files and folders, ending with Finished. One bad file is a Failed
        event. `rebuild` empties the index first, one that other machines use as well only if `sure`. Leaving the stream
        keeps what is finished.

        Documents are found by their words as soon as they are read. Their vectors follow: here, or, unless `wait`, by
        the process that watches the library, if there is one."""

        def start() -> Iterator[IngestEvent]:
            return ingesting.ingest(
                self._parts,
                [Path(path) for path in paths],
                self._embed_elsewhere,
                force=force,
                rebuild=rebuild,
                wait=wait,
                sure=sure,
            )

        async with aclosing(self._disk.stream(start)) as events:
            async for event in events:
                yield event

    async def ingest_text(
        self, name: str, text: str = "", *, chunks: Sequence[GivenChunk] = ()
    ) -> AsyncGenerator[IngestEvent, None]:
        """Index a text that is no file, under a name; the same name again replaces it.

        With `chunks` they are the text: none is cut again, and those with a vector are not embedded. A rebuild of the
        index has only their words left: it cuts and embeds these like any text. Raises UnfitVector."""
        async with aclosing(
            self._disk.stream(lambda: ingesting.ingest_text(self._parts, name, text, self._embed_elsewhere, chunks))
        ) as events:
            async for event in events:
                yield event

    async def remove(self, references: Sequence[str]) -> AsyncGenerator[IngestEvent, None]:
        """Take documents out: paths, folders, globs or ids. Raises NotFound for one that names nothing."""
        async with aclosing(
            self._disk.stream(lambda: ingesting.remove(self._parts, references, self._embed_elsewhere))
        ) as events:
            async for event in events:
                yield event

    async def preview_adding(
        self, paths: Sequence[str | Path], *, subfolders: bool = True
    ) -> AsyncGenerator[AddPreview, None]:
        """What adding these paths would do, before anything is read: first how many files were met so far, at the end
        every file with what would become of it. Does not wait for an ingest."""
        previews = self._looks.stream(lambda: adding.preview(self._parts, paths, subfolders=subfolders))
        async with aclosing(previews):
            async for preview in previews:
                yield preview

    async def browse(self, folder: str | Path) -> list[FolderEntry]:
        """What is in a folder, hidden names last, with why some of it would not be taken. Raises NotFound."""
        return await self._looks.run(adding.browse, self._parts, folder)

    def readable_formats(self) -> list[FormatInfo]:
        """What can be read."""
        return adding.readable_formats()

    async def added_folders(self) -> list[str]:
        """The folders that were added by name, by path."""
        return await self._looks.run(adding.added_folders, self._parts)

    async def reindex(self, paths: Sequence[str]) -> AsyncGenerator[IngestEvent, None]:
        """Read files of the library again, failed ones too, ending with Finished; what is gone is taken out."""
        async with aclosing(
            self._disk.stream(lambda: adding.reindex(self._parts, self._embed_elsewhere, paths))
        ) as events:
            async for event in events:
                yield event

    async def take_out(self, paths: Sequence[str]) -> Taken:
        """Take documents out so that they can come back: give what this returns to `bring_back`. By their paths in the
        library; unknown ones are passed over."""
        from termrag import removing

        return await self._disk.run(removing.take_out, self._parts, self._embed_elsewhere, paths)

    async def bring_back(self, taken: Taken) -> AsyncGenerator[IngestEvent, None]:
        """Put what was taken out back as it was: ids, vectors and all. What is too large for that is read again."""
        from termrag import removing

        async with aclosing(
            self._disk.stream(lambda: removing.bring_back(self._parts, self._embed_elsewhere, taken))
        ) as events:
            async for event in events:
                yield event

    async def documents(self, patterns: Sequence[str] = ()) -> list[Document]:
        """The documents, by path; only those at or under the given paths or globs, if any are given."""
        return await self._looks.run(self._parts.documents, patterns)

    async def document(self, reference: str) -> Document:
        """One document by id, prefix of an id, path or unique part of a path. Raises NotFound."""
        return await self._looks.run(self._parts.document, reference)

    async def chunks(self, document_id: str) -> list[IndexedChunk]:
        """A document's chunks in order."""
        return await self._searches.run(lambda: self._parts.store().chunks(document_id))

    async def vectors(self, document_id: str) -> dict[str, list[float]]:
        """A document's vectors by the hash of their text, as far as they are computed."""
        found = await self._searches.run(lambda: self._parts.store().vectors(document_id))
        return {text_hash: vector.tolist() for text_hash, vector in found.items()}

    async def notices(self) -> tuple[str, ...]:
        """What whoever reads should know of the library now, such as that its server does not answer."""
        return await self._looks.run(self._parts.notices)

    async def library_version(self) -> int:
        """Another number after every change of the index; 0 where nothing is indexed."""
        return await self._searches.run(self._parts.version)

    async def optimize(self) -> bool:
        """Compact and index the store now; True if anything was done."""
        try:
            return await self._care.run(self._parts.optimize)
        except asyncio.CancelledError:
            self._parts.interrupt()
            raise
