"""The named libraries beside this one: listed with what they hold, renamed, removed with their index."""

from __future__ import annotations

from collections.abc import Mapping

from termrag import collections
from termrag.collections import Collection
from termrag.errors import ConfigError, StoreUnavailable
from termrag.indexing.opening import require_unwatched
from termrag.parts import Parts
from termrag.paths import Paths
from termrag.stores import discard_store


def list_collections(parts: Parts, environ: Mapping[str, str]) -> list[Collection]:
    """All of them, the default one first. Settings that are wrong are an error of the one that is opened, not here."""
    base = parts.paths.base
    return [_described(base, name, parts, environ) for name in collections.names(base)]


def _described(base: Paths, name: str, parts: Parts, environ: Mapping[str, str]) -> Collection:
    paths = collections.paths_of(base, name)
    here = paths.collection == parts.paths.collection
    beside = parts if here else Parts(collections.load_settings(paths, environ), paths, environ, lender=parts)
    documents = chunks = 0
    if beside.has_library():
        with beside.open_ledger() as ledger:
            counts = ledger.counts()
        documents, chunks = counts.indexed, counts.chunks
    return Collection(name, str(beside.library_folder), str(paths.settings_file), documents, chunks, here)


def create_collection(parts: Parts, environ: Mapping[str, str], name: str) -> Collection:
    collections.create(parts.paths.base, name)
    return _described(parts.paths.base, name, parts, environ)


def rename_collection(parts: Parts, environ: Mapping[str, str], name: str, new_name: str) -> Collection:
    """Raises LibraryBusy where a process watches it."""
    base = parts.paths.base
    require_unwatched(_beside(parts, environ, name))
    collections.rename(base, name, new_name)
    return _described(base, new_name, parts, environ)


def remove_collection(parts: Parts, environ: Mapping[str, str], name: str, *, sure: bool) -> Collection:
    """Delete a collection: its index, conversations and settings; the files that were indexed stay. One that holds
    documents only if that is sure. Raises NotFound, ConfigError, LibraryBusy."""
    base = parts.paths.base
    gone = _described(base, name, parts, environ)
    if gone.documents and not sure:
        raise ConfigError(f"the collection {name} holds {gone.documents} documents", "--yes removes it")
    beside = _beside(parts, environ, name)
    require_unwatched(beside)
    if beside.paths.collection and beside.has_library():
        kind = beside.config.library.store
        try:
            discard_store(kind, beside.library_folder / kind, config=beside.config)
        except StoreUnavailable as error:
            raise StoreUnavailable(f"the index of {name} cannot be removed: {error.message}", error.hint) from error
    collections.forget(base, name)
    return gone


def _beside(parts: Parts, environ: Mapping[str, str], name: str) -> Parts:
    paths = collections.paths_of(parts.paths.base, name)
    return Parts(collections.load_settings(paths, environ), paths, environ, lender=parts)
