"""What there is, at a glance: counts from the ledger, sizes from the disk; opens no model, and of stores only a
server's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from termrag.engines import EngineChoice
from termrag.errors import TermragError
from termrag.records import Status

if TYPE_CHECKING:
    from termrag.parts import Parts
    from termrag.stores import StoreStats


def take_status(parts: Parts) -> Status:
    """The state of a library and its models; an engine that cannot be chosen is part of it, not an error."""
    try:
        choice = parts.engine_choice()
    except TermragError as error:
        choice = EngineChoice("none", f"{error.message}; {error.hint}")
    settings = parts.config.models
    is_remote = choice.name == "openai"
    model = parts.config.openai.model if is_remote else settings.chat
    documents, failed, chunks, unembedded, failures = 0, 0, 0, 0, []
    if parts.has_library():
        with parts.open_ledger() as ledger:
            counts = ledger.counts()
            documents, failed, chunks, unembedded = counts.indexed, counts.failed, counts.chunks, counts.unembedded
            failures = ledger.failures()
    elif (held := _held_by_store(parts)) is not None:
        documents, chunks = held.documents, held.rows
    return Status(
        library=str(parts.library_folder),
        documents=documents,
        failed=failed,
        chunks=chunks,
        store=parts.config.library.store,
        size_bytes=_size_of(parts.library_folder),
        embedder=settings.embedding,
        engine=choice.name,
        engine_reason=choice.reason,
        model=model,
        model_is_here=is_remote or choice.name == "scripted" or parts.is_here(model, choice.name),
        failures=tuple(failures),
        unembedded=unembedded,
        store_notice=_store_notice(parts),
    )


def _held_by_store(parts: Parts) -> StoreStats | None:
    """What a store holds that has no ledger on this machine, which only reads; None where there is no store."""
    from termrag.stores import open_store

    kind = parts.config.library.store
    try:
        store = open_store(kind, parts.library_folder / kind, None, create=False, config=parts.config)
    except TermragError:
        return None
    try:
        return store.stats()
    finally:
        store.close()


def _store_notice(parts: Parts) -> str:
    """Whether a server's store can be used now; one on this machine is not opened for that."""
    if parts.config.library.store != "qdrant" or not parts.config.qdrant.url or not parts.has_library():
        return ""
    try:
        store = parts.store()
        store.stats()
    except TermragError as error:
        return error.message
    return store.notice


def _size_of(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) if folder.exists() else 0
