"""Runs of the ingest over one library: files and texts taken in, documents taken out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from termrag import ingest as runs
from termrag import leasing, naming
from termrag.errors import LibraryBusy, NotFound
from termrag.events import IngestEvent
from termrag.ledger import WATCH_LOCK, lock_holder

if TYPE_CHECKING:
    from termrag.parts import Embed, Parts
    from termrag.records import GivenChunk


def ingest(
    parts: Parts,
    paths: Sequence[Path],
    embed: Embed,
    *,
    force: bool = False,
    rebuild: bool = False,
    wait: bool = False,
    sure: bool = False,
) -> Iterator[IngestEvent]:
    """Make the library equal to the files; see `termrag.ingest.ingest`. Vectors are left to the process that
    watches, if there is one and `wait` does not ask for them. Raises LibraryBusy for the rebuild of an index that other
    machines use as well, unless `sure`."""
    if rebuild and not sure and leasing.is_shared(parts):
        raise LibraryBusy(
            "other machines may keep documents in this index too, and a rebuild takes all of them out",
            "If none does: termrag index rebuild --yes",
        )
    with parts.ingesting(embed, patience_s=parts.config.qdrant.patience_s) as (ledger, tools):
        yield from runs.ingest(
            paths or ledger.roots(),
            ledger=ledger,
            tools=tools,
            exclude=parts.config.documents.exclude,
            force=force,
            rebuild=rebuild,
            follow=wait or lock_holder(parts.library_folder, WATCH_LOCK) is None,
        )


def ingest_text(
    parts: Parts, name: str, text: str, embed: Embed, chunks: Sequence[GivenChunk] = ()
) -> Iterator[IngestEvent]:
    """Index a text that is no file; see `termrag.ingest.ingest_text`. Raises UnfitVector before anything is written."""
    cut = [runs.Cut(each.text, None if each.vector is None else parts.unit_vector(each.vector)) for each in chunks]
    with parts.ingesting(embed, patience_s=parts.config.qdrant.patience_s) as (ledger, tools):
        yield from runs.ingest_text(name, text, ledger=ledger, tools=tools, cut=cut)


def remove(parts: Parts, references: Sequence[str], embed: Embed) -> Iterator[IngestEvent]:
    if not parts.has_library():
        raise NotFound(f"there is no document {references[0]}: nothing is indexed yet", "termrag add PATH")
    with parts.ingesting(embed, patience_s=parts.config.qdrant.patience_s) as (ledger, tools):
        named = [naming.as_text(ledger, each) for each in references]
        yield from runs.remove(named, ledger=ledger, tools=tools)
