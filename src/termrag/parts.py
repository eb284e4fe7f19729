"""The lifetime of everything below the façade: each part opened on first use, closed once; knows no asyncio.

Called from several lanes. What more than one may open is opened under a lock; each call has a ledger of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from termrag import naming
from termrag.chats import Chats
from termrag.config import Config
from termrag.engines import EngineChoice, choose_engine
from termrag.errors import ModelMissing, NotFound, StoreUnavailable
from termrag.events import AskEvent
from termrag.paths import Paths
from termrag.pending import Pending
from termrag.prefixes import Prefixes
from termrag.records import Document, Filters, Hit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from termrag.answer import Chat, Evidence, Request
    from termrag.context import Handed
    from termrag.embedders import Embedder
    from termrag.followup import Resolved
    from termrag.ingest import Tools
    from termrag.ledger import Ledger, Overview
    from termrag.models import Shelf
    from termrag.retrieval import Mode
    from termrag.stores import Identity, Searchable, Store

Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]

# Hits that the gate looks at and that passages are made of.
_JUDGED = 30


class Parts:
    """One library and its models, loaded as they are needed; the models may be another's, the `lender`'s."""

    def __init__(
        self, config: Config, paths: Paths, environ: Mapping[str, str], *, lender: Parts | None = None
    ) -> None:
        self.config = config
        self.paths = paths
        self._environ = environ
        self._opening = threading.RLock()
        self._store: Store | None = None
        self._embedder: Embedder | None = None
        self._shelf: Shelf | None = None
        self._overview: tuple[tuple[int, ...], Overview | None] = ((), None)
        self._lender = lender
        self.chats: Chats = lender.chats if lender else Chats(self.shelf, environ, Prefixes(paths.prefixes))

    @property
    def library_folder(self) -> Path:
        """Where the ledger and the store are."""
        chosen = self.config.library.path
        return Path(chosen).expanduser().absolute() if chosen else self.paths.library

    # --- parts ---------------------------------------------------------------------------------------------------

    def shelf(self) -> Shelf:
        if self._lender:
            return self._lender.shelf()
        with self._opening:
            if self._shelf is None:
                from termrag.models import Shelf

                self._shelf = Shelf(
                    self.paths.models, hub_timeout_s=self.config.models.hub_timeout_s, environ=self._environ
                )
            return self._shelf

    def embedder(self) -> Embedder:
        """The embedder, not yet loaded: its identity is known without the model."""
        if self._lends_embedder():
            assert self._lender is not None
            return self._lender.embedder()
        with self._opening:
            if self._embedder is None:
                from termrag.embedders import open_embedder

                self._embedder = open_embedder(self.config.models, self.config.openai, self.shelf(), self._environ)
            return self._embedder

    def _lends_embedder(self) -> bool:
        theirs = self._lender.config if self._lender else None
        return theirs is not None and (theirs.models.embedding, theirs.openai) == (
            self.config.models.embedding,
            self.config.openai,
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts, loading the model on first use. Call it on the models lane, unless the embedder is for
        several threads."""
        return self.embedder().embed(texts)

    def identity(self) -> Identity:
        """What this configuration would make an index with."""
        from termrag.analysis import ANALYZER_VERSION
        from termrag.chunking import CHUNKER_VERSION
        from termrag.stores import Identity

        embedder = self.embedder()
        chunker = f"{CHUNKER_VERSION}/{self.config.documents.chunk_tokens}"
        return Identity(embedder.fingerprint, embedder.dimension, chunker, ANALYZER_VERSION)

    def store(self) -> Store:
        """The index for reading. Raises StoreUnavailable if there is none, LibraryMismatch if made otherwise."""
        with self._opening:
            if self._store is None:
                self._store = self._open_store(create=False)
            return self._store

    @property
    def open_store(self) -> Store | None:
        """The index, if it is open."""
        return self._store

    def searchable(self) -> Searchable:
        """What a search looks through."""
        return self.store()

    def _open_store(self, *, create: bool) -> Store:
        from termrag.stores import open_store

        kind = self.config.library.store
        return open_store(kind, self.library_folder / kind, self.identity(), create=create, config=self.config)

    def close_models(self) -> None:
        """Free the models that are its own; on the models lane, where they were loaded."""
        if not self._lender:
            self.chats.close()
        if self._embedder is not None:
            self._embedder.close()
            self._embedder = None

    def load_models(self) -> Iterator[AskEvent]:
        """Make both models ready; on the models lane."""
        yield from self.chats.open(self.config)
        self.embedder().load()

    def unload_models(self) -> None:
        """Free the models that no answer uses; on the models lane."""
        self.chats.retire()
        self.close_embedder()

    def close_embedder(self) -> None:
        """Free the embedding model; the next use loads it again. On the models lane."""
        if self._embedder is not None:
            from termrag.heap import return_memory

            self._embedder.close()
            return_memory()

    def let_go(self) -> None:
        """Have the index opened anew by its next use. It is not closed: a search of another lane may be at work in it,
        and is the last to leave it then."""
        with self._opening:
            self._store = None

    def close(self) -> None:
        """Release the rest, when nobody is at work any more."""
        if self._store is not None:
            self._store.close()
            self._store = None

    # --- asking --------------------------------------------------------------------------------------------------

    def engine_choice(self) -> EngineChoice:
        return choose_engine(self.config.models, self.config.openai)

    def is_here(self, name: str, engine: str) -> bool:
        """Whether this machine has the model in the form that `engine` loads."""
        try:
            self.shelf().locate(name, engine)
        except (ModelMissing, NotFound):
            return False
        return True

    def answers(self, request: Request) -> Iterator[AskEvent | Pending]:
        """The events of one question. A model that is changed meanwhile ends this answer first."""
        from termrag import answer

        with ExitStack() as until_answered:

            def open_chat() -> Generator[AskEvent, None, Chat]:
                chat = yield from self.chats.open(self.config)
                return until_answered.enter_context(self.chats.using(chat, request.session_id))

            yield from answer.ask(request, open_chat, self.embedder().embed)

    def change(self, config: Config) -> None:
        """Take over new settings. What they concern is opened anew by its next use; on the models lane."""
        old, self.config = self.config, config
        if (old.models, old.openai) != (config.models, config.openai):
            self.chats.retire()
        with self._opening:
            if old.models.embedding != config.models.embedding or old.openai != config.openai:
                self.close_embedder()
                self._embedder = None
            if old.models.hub_timeout_s != config.models.hub_timeout_s:
                self._shelf = None
            if (old.library, old.lancedb, old.models.embedding, old.documents) != (
                config.library,
                config.lancedb,
                config.models.embedding,
                config.documents,
            ) or old.qdrant != config.qdrant:
                self.let_go()

    def change_environ(self, environ: Mapping[str, str]) -> None:
        """Take over another environment, such as one with another key; on the models lane."""
        self._environ = environ
        self.chats.change_environ(environ)
        with self._opening:
            self.close_embedder()
            self._embedder = self._shelf = None

    def search(
        self,
        query: str,
        limit: int,
        filters: Filters,
        mode: Mode,
        embed: Embed | None = None,
        vector: Sequence[float] | None = None,
    ) -> list[Hit]:
        """Hits of the library, best first; the query's own filters are laid over the given ones. `embed` is for
        callers on another lane than that of the models; `vector` stands in place of the query's embedding."""
        from termrag.retrieval import both, parse_query, search

        text, own = parse_query(query)
        return search(
            text,
            store=self.searchable(),
            embed=embed or self.embed,
            settings=self.config.retrieval,
            filters=both(filters, own),
            limit=limit,
            mode=mode,
            languages=self.languages(),
            count_tokens=self.embedder().count_tokens,
            unembedded=self.unembedded,
            vector=None if vector is None else self.unit_vector(vector),
        )

    def unit_vector(self, values: Sequence[float]) -> NDArray[np.float32]:
        """A given vector as one of the index. Raises UnfitVector."""
        from termrag.embedders import unit_vector

        return unit_vector(values, self.embedder().dimension)

    def evidence(
        self, question: str, filters: Filters, resolved: Resolved | None = None, embed: Embed | None = None
    ) -> Evidence:
        """Hits and passages of the library for a question; `resolved` says which documents a follow-up speaks of."""
        from termrag.answer import Evidence
        from termrag.retrieval import both, lift, passages

        settings = self.config.retrieval
        only, lifted = (resolved.document_ids, resolved.lifted) if resolved else ((), ())
        filters = both(filters, Filters(document_ids=only))
        hits = lift(self.search(question, _JUDGED, filters, "hybrid", embed), lifted)
        count = self.embedder().count_tokens
        chosen = passages(hits, store=self.searchable(), settings=settings, count_tokens=count)
        return Evidence(tuple(hits), tuple(chosen), self.notices())

    def evidence_in(self, texts: Sequence[Handed], question: str, embed: Embed | None = None) -> Evidence:
        """Passages of texts that were handed over with the question."""
        from termrag.answer import Evidence
        from termrag.context import passages_of

        chosen = passages_of(
            texts,
            question,
            embed=embed or self.embed,
            count_tokens=self.embedder().count_tokens,
            chunk_tokens=self.config.documents.chunk_tokens,
            most_tokens=self.config.retrieval.passage_tokens,
        )
        return Evidence((), tuple(chosen))

    def read(self, files: Sequence[Path]) -> list[Handed]:
        """The texts of files that are not indexed. Raises UnreadableFile for the first that gives none."""
        from termrag import readers
        from termrag.context import Handed
        from termrag.converter import Converter, Limits

        settings = self.config.documents
        limits = Limits(timeout_s=settings.convert_timeout_s, memory_mb=settings.convert_memory_mb)
        most = settings.max_file_mb << 20
        with Converter(limits) as converter:
            return [Handed(each.name, readers.read(each, converter, max_bytes=most)) for each in files]

    # --- documents -----------------------------------------------------------------------------------------------

    def has_library(self) -> bool:
        from termrag.ledger import Ledger

        return Ledger.exists(self.library_folder)

    def has_index(self) -> bool:
        """Whether there is something to search: known from the ledger, or, on a reader's machine, from the store."""
        if self.has_library():
            return True
        with suppress(StoreUnavailable):
            self.store()
            return True
        return False

    def open_ledger(self) -> Ledger:
        """A ledger of the caller's own: close it."""
        from termrag.ledger import Ledger

        return Ledger(self.library_folder)

    def documents(self, patterns: Sequence[str]) -> list[Document]:
        if not self.has_library():
            return []
        with self.open_ledger() as ledger:
            return ledger.documents([naming.pattern(each) for each in patterns])

    def document(self, reference: str) -> Document:
        """By id, beginning of an id, path, or the end of a path that only one document has. Raises NotFound."""
        if not self.has_library():
            raise NotFound(f"there is no document {reference}: nothing is indexed yet", "termrag add PATH")
        with self.open_ledger() as ledger:
            return naming.document(ledger, reference)

    def version(self) -> int:
        """Another number after every change of the index; 0 where nothing is indexed."""
        return self.store().version() if self.has_library() else 0

    def content_hashes(self, document_ids: Collection[str]) -> dict[str, str]:
        """The content hash of each of the documents that is still in the library."""
        if not self.has_library():
            return {}
        with self.open_ledger() as ledger:
            return ledger.content_hashes(document_ids)

    def overview(self) -> Overview:
        """Of the ledger, read again only after a change; a reader without one does without what it says."""
        from termrag.ledger import Ledger, Overview

        if not self.has_library():
            return Overview((), lacks_vectors=False)
        state = Ledger.state_of(self.library_folder)  # before reading: what comes in between is read twice
        known_state, known = self._overview
        if known is None or known_state != state:
            with self.open_ledger() as ledger:
                known = ledger.overview()
            self._overview = (state, known)
        return known

    def languages(self) -> tuple[str, ...]:
        """The library's languages, most frequent first."""
        return self.overview().languages

    def unembedded(self, document_ids: Collection[str]) -> Collection[str]:
        if not self.overview().lacks_vectors:
            return ()
        with self.open_ledger() as ledger:
            return ledger.unembedded(document_ids)

    def notices(self) -> tuple[str, ...]:
        """What whoever asks should know of the library."""
        found = [self._store.notice] if self._store is not None and self._store.notice else []
        if self.overview().lacks_vectors:
            with self.open_ledger() as ledger:
                counts = ledger.counts()
            if counts.unembedded:
                found.append(f"{counts.unembedded} of {counts.indexed} documents are found by their words only so far")
        return tuple(found)

    @contextmanager
    def ingesting(self, embed: Embed, *, patience_s: float = 0.0) -> Iterator[tuple[Ledger, Tools]]:
        """What a run works with, closed after it; the store is opened when the run first writes. It waits `patience_s`
        for a store that does not answer."""
        from termrag.converter import Converter, Limits
        from termrag.ingest import make_tools

        settings = self.config.documents
        limits = Limits(timeout_s=settings.convert_timeout_s, memory_mb=settings.convert_memory_mb)
        with self.open_ledger() as ledger, Converter(limits) as converter:
            yield (
                ledger,
                make_tools(
                    embed=embed,
                    count_tokens=self.embedder().count_tokens,
                    open_store=self.store_for_writing,
                    discard_store=self.discard_store,
                    converter=converter,
                    max_bytes=settings.max_file_mb << 20,
                    chunk_tokens=settings.chunk_tokens,
                    patience_s=patience_s,
                ),
            )

    def store_for_writing(self) -> Store:
        with self._opening:
            if self._store is None:
                self._store = self._open_store(create=True)
            return self._store

    def discard_store(self) -> None:
        from termrag.stores import discard_store

        with self._opening:
            if self._store is not None:
                self._store.close()
                self._store = None
            kind = self.config.library.store
            discard_store(kind, self.library_folder / kind, config=self.config)

    def optimize(self) -> bool:
        """Compact and index the store; True if anything was done. Raises LibraryBusy."""
        with self.open_ledger() as ledger, ledger.lock():
            return self.store().maintain(force=True)

    def interrupt(self) -> None:
        """Let what waits for an index give up."""
        store = self._store
        if store is not None:
            store.interrupt()
