"""How a whole index is opened: as it is, where a configuration puts it, and only while nobody watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from termrag.config import Config
from termrag.errors import LibraryBusy
from termrag.ledger import WATCH_LOCK, lock_holder
from termrag.parts import Parts
from termrag.stores import Identity, Store, open_store

if TYPE_CHECKING:
    from collections.abc import Mapping


@contextmanager
def as_it_is(parts: Parts) -> Iterator[Store]:
    """The index whatever made it; the one that is open already, since some can be open only once. Raises
    StoreUnavailable where there is none."""
    opened = parts.open_store
    if opened is not None:
        yield opened
        return
    store = open_by(parts, parts.config, None, create=False)
    try:
        yield store
    finally:
        store.close()


def open_by(parts: Parts, config: Config, identity: Identity | None, *, create: bool) -> Store:
    """The store of this library by another configuration: close it."""
    kind = config.library.store
    return open_store(kind, parts.library_folder / kind, identity, create=create, config=config)


def place_by(parts: Parts, config: Config) -> str:
    """Where that store lies, for people."""
    kind = config.library.store
    if kind == "lancedb" and config.lancedb.uri:
        return config.lancedb.uri
    url = getattr(getattr(config, "qdrant", None), "url", "")
    return str(url) if kind == "qdrant" and url else str(parts.library_folder / kind)


def require_unwatched(parts: Parts) -> None:
    """Raises LibraryBusy where a process watches: it would go on writing into what is replaced."""
    pid = lock_holder(parts.library_folder, WATCH_LOCK)
    if pid is not None:
        raise LibraryBusy(f"process {pid} watches this library", "termrag watch stop")


def shaping_settings(parts: Parts) -> Mapping[str, str | int]:
    """The settings that an index depends on, by their dotted names."""
    config = parts.config
    return {"models.embedding": config.models.embedding, "documents.chunk_tokens": config.documents.chunk_tokens}
