"""The façade: the one asynchronous door that every face uses. Parts load on first use and are closed at the end.

    async with Rag(config) as rag:
        async for event in rag.ask("When does the last ferry leave?"): ...

Models and searches run on one lane, reading and writing of documents on another; leaving a stream stops its compute.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from termrag import conversing, watching
from termrag.config import Config, load_config, write_setting
from termrag.events import Answered, AskEvent, IngestEvent, PullEvent
from termrag.lane import Lane
from termrag.parts import Parts
from termrag.paths import Paths, default_paths
from termrag.records import (
    Document,
    Filters,
    Hit,
    IndexedChunk,
    Message,
    ModelInfo,
    Sampling,
    Status,
)
from termrag.turns import Session, SessionInfo, Turn
from termrag.watchstate import WatchedFolder, WatchStatus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from termrag.answer import Evidence, Request
    from termrag.context import Handed
    from termrag.doctor import Finding
    from termrag.followup import Resolved
    from termrag.models import FileOrigin
    from termrag.watcher import WatchEvent

_EMBED_SLICE = 16  # texts embedded before whoever else waits for the models has a turn

SearchMode = Literal["hybrid", "vector", "text"]


class Rag:
    """One library with its models. Safe for one event loop; several processes may open the same library at once."""

    def __init__(
        self, config: Config | None = None, paths: Paths | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        self.paths = paths or default_paths()
        self.config = config or load_config(self.paths.config_file)
        self._models = Lane("models")
        self._disk = Lane("disk")
        self._parts = Parts(self.config, self.paths, os.environ if environ is None else environ)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._models.run(self._parts.close_models)
        await self._disk.run(self._parts.close)
        self._models.close()
        self._disk.close()

    # --- asking --------------------------------------------------------------------------------------------------

    async def ask(
        self,
        question: str,
        *,
        session: str | None = None,
        parent: str | None = None,
        recall: bool | None = None,
        filters: Filters | None = None,
        sampling: Sampling | None = None,
        context: str | None = None,
        context_name: str = "stdin",
        attached: Sequence[str | Path] = (),
        history: Sequence[Message] = (),
        general: bool = False,
    ) -> AsyncGenerator[AskEvent, None]:
        """Answer a question, ending with Answered.

        With `session`, the id of one, the turn is kept and follows `parent`: the end of the current branch for None,
        nothing for an empty text; with `recall` the answer remembers other conversations. With `context`, or files that
        are `attached`, the answer rests on these instead of the library; `general` asks the model alone. Raises
        UnreadableFile, ModelMissing, EngineFailed, LibraryMismatch, StoreUnavailable, or NotFound for the session.
        """
        texts = await self._disk.run(self._handed, context, context_name, attached)
        turns = await self._disk.run(conversing.turns_before, self._parts, session, parent, history)
        request = self._request(question, turns, texts, None if general else filters or Filters(), sampling)

        def start() -> Iterator[AskEvent]:
            if session is None:
                return self._parts.answers(request)
            return conversing.kept(self._parts, replace(request, session_id=session), parent, recall)

        async with aclosing(self._models.stream(start)) as events:
            async for event in events:
                if isinstance(event, Answered):
                    _log(event)
                yield event

    def _request(
        self,
        question: str,
        turns: tuple[Turn, ...],
        texts: Sequence[Handed],
        filters: Filters | None,
        sampling: Sampling | None,
    ) -> Request:
        from termrag.answer import Request
        from termrag.followup import resolve

        resolved = resolve(question, turns)
        return Request(
            question=question,
            find=None if filters is None else self._finder(filters, texts, resolved),
            sampling=sampling or self.sampling(),
            query=resolved.query,
            turns=turns,
            gated=not texts,
            strictness=self.config.retrieval.gate,
        )

    def _handed(self, context: str | None, name: str, attached: Sequence[str | Path]) -> list[Handed]:
        from termrag.context import handed_text

        texts = [] if context is None else [handed_text(name, context)]
        return [*texts, *self._parts.read([Path(file) for file in attached])] if attached else texts

    def _finder(self, filters: Filters, texts: Sequence[Handed], resolved: Resolved) -> Callable[[str], Evidence]:
        if texts:
            return lambda question: self._parts.evidence_in(texts, question)
        return lambda question: self._parts.evidence(question, filters, resolved)

    def sampling(self) -> Sampling:
        """How tokens are chosen where a question does not say it, as configured."""
        settings = self.config.generation
        return Sampling(
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
            min_p=settings.min_p,
            repetition_penalty=settings.repetition_penalty,
            seed=None if settings.seed < 0 else settings.seed,
            max_tokens=settings.max_tokens,
        )

    async def search(
        self, query: str, *, limit: int = 8, filters: Filters | None = None, mode: SearchMode = "hybrid"
    ) -> list[Hit]:
        """The best chunks for a query, best first. The query may carry filters such as `type:pdf`."""
        return await self._models.run(self._parts.search, query, limit, filters or Filters(), mode)

    # --- sessions ------------------------------------------------------------------------------------------------

    async def start_session(self) -> SessionInfo:
        """A new conversation; it is listed from its first turn on."""
        return await self._disk.run(conversing.start, self._parts)

    async def sessions(self, query: str = "", *, limit: int = 200, deleted: bool = False) -> list[SessionInfo]:
        """The last changed first; with a query those that hold its words, best first, with the place."""
        return await self._disk.run(conversing.list_sessions, self._parts, query, limit, deleted)

    async def session(self, reference: str) -> Session:
        """A conversation by id, unique beginning of one, or `last`, with how its sources stand. Raises NotFound."""
        return await self._disk.run(conversing.session, self._parts, reference)

    async def rename_session(self, reference: str, title: str) -> SessionInfo:
        return await self._disk.run(conversing.rename, self._parts, reference, title)

    async def delete_session(self, reference: str) -> SessionInfo:
        """Put it out of sight; `restore_session` brings it back until it is pruned."""
        return await self._disk.run(conversing.delete, self._parts, reference)

    async def restore_session(self, reference: str) -> SessionInfo:
        return await self._disk.run(conversing.restore, self._parts, reference)

    async def prune_sessions(self, older_than_s: float | None = None) -> int:
        """Remove deleted conversations for good, and those unchanged for so long; return how many."""
        return await self._disk.run(conversing.prune, self._parts, older_than_s)

    async def export_session(self, reference: str, form: str = "markdown") -> str:
        """As markdown, html or json. Raises NotFound, ConfigError for another form."""
        return await self._disk.run(conversing.export_session, self._parts, reference, form)

    async def import_session(self, text: str) -> SessionInfo:
        """Take in what `export_session` wrote as json. Raises ConfigError for anything else."""
        return await self._disk.run(conversing.import_session, self._parts, text)

    async def branches(self, turn_id: str) -> list[Turn]:
        """The turns that follow the same turn as this one, itself among them, oldest first. Raises NotFound."""
        return await self._disk.run(conversing.branches, self._parts, turn_id)

    async def choose_branch(self, turn_id: str) -> Session:
        """Make the branch through a turn the current one of its conversation. Raises NotFound."""
        return await self._disk.run(conversing.choose_branch, self._parts, turn_id)

    # --- documents -----------------------------------------------------------------------------------------------

    async def ingest(
        self, paths: Sequence[str | Path], *, force: bool = False, rebuild: bool = False, wait: bool = False
    ) -> AsyncGenerator[IngestEvent, None]:
        """Make the library equal to the given files and folders, ending with Finished. One bad file is a Failed
        event. `rebuild` empties the index first. Leaving the stream keeps what is finished.

        Documents are found by their words as soon as they are read. Their vectors follow: here, or, unless `wait`, by
        the process that watches the library, if there is one."""

        def start() -> Iterator[IngestEvent]:
            return self._parts.ingest(
                [Path(path) for path in paths], self._embed_from_disk, force=force, rebuild=rebuild, wait=wait
            )

        async with aclosing(self._disk.stream(start)) as events:
            async for event in events:
                yield event

    async def ingest_text(self, name: str, text: str) -> AsyncGenerator[IngestEvent, None]:
        """Index a text that is no file, under a name; the same name again replaces it."""
        async with aclosing(
            self._disk.stream(lambda: self._parts.ingest_text(name, text, self._embed_from_disk))
        ) as events:
            async for event in events:
                yield event

    async def remove(self, references: Sequence[str]) -> AsyncGenerator[IngestEvent, None]:
        """Take documents out: paths, folders, globs or ids. Raises NotFound for one that names nothing."""
        async with aclosing(self._disk.stream(lambda: self._parts.remove(references, self._embed_from_disk))) as events:
            async for event in events:
                yield event

    async def watch(
        self, *, once: bool = False, poll: bool = False, sure: bool = False
    ) -> AsyncGenerator[WatchEvent, None]:
        """Keep the library equal to the watched folders until the stream is left: a sweep first, `once` only that.
        Without the system's notices (`poll`) sweeps alone find what changed. `sure` applies deletions of most of a
        folder at once. Raises LibraryBusy if another process watches."""
        from termrag.watcher import Watcher

        watcher = Watcher(self._parts, self._disk, self._models, self._embed_from_disk, poll=poll, sure=sure)
        async with aclosing(watcher.run(once=once)) as events:
            async for event in events:
                yield event

    async def watch_status(self) -> WatchStatus:
        """What the process that watches this library is at, whichever it is."""
        return await self._disk.run(watching.watch_status, self._parts)

    async def watched(self) -> list[WatchedFolder]:
        """The watched folders, by path."""
        return await self._disk.run(watching.watched, self._parts)

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
            lambda: watching.sweep(self._parts, self._embed_from_disk, sure=sure, with_added=True)
        )
        async with aclosing(events):
            async for event in events:
                yield event

    async def preview_sync(self) -> dict[str, list[str]]:
        """What `sync` would add, change, move and remove: paths by what would happen to them."""
        return await self._disk.run(watching.preview, self._parts)

    async def documents(self, patterns: Sequence[str] = ()) -> list[Document]:
        """The documents, by path; only those at or under the given paths or globs, if any are given."""
        return await self._disk.run(self._parts.documents, patterns)

    async def document(self, reference: str) -> Document:
        """One document by id, prefix of an id, path or unique part of a path. Raises NotFound."""
        return await self._disk.run(self._parts.document, reference)

    async def chunks(self, document_id: str) -> list[IndexedChunk]:
        """A document's chunks in order."""
        return await self._disk.run(lambda: self._parts.store().chunks(document_id))

    async def vectors(self, document_id: str) -> dict[str, list[float]]:
        """A document's vectors by the hash of their text, as far as they are computed."""
        found = await self._disk.run(lambda: self._parts.store().vectors(document_id))
        return {text_hash: vector.tolist() for text_hash, vector in found.items()}

    def _embed_from_disk(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors, computed on the models lane a few texts at a time, so that a chat there keeps its turns."""
        import numpy as np

        slices = [texts[start : start + _EMBED_SLICE] for start in range(0, len(texts), _EMBED_SLICE)]
        return np.concatenate([self._models.call(self._parts.embed, part) for part in slices])

    # --- models --------------------------------------------------------------------------------------------------

    async def models(self) -> list[ModelInfo]:
        """The catalogue, with what is here and what is in use."""
        return await self._disk.run(self._parts.models)

    async def model(self, name: str) -> ModelInfo:
        """One model. Raises NotFound."""
        return await self._disk.run(self._parts.model, name)

    async def model_files(self, name: str) -> list[FileOrigin]:
        """Where each file of a catalogue model comes from, and how far its hash can be trusted. Raises NotFound."""
        return await self._disk.run(self._parts.origins, name)

    async def starter_models(self) -> list[str]:
        """The names of the models that need no model hub: enough to begin with."""
        return [self.config.models.starter, self.config.models.embedding]

    async def pull(self, name: str, *, engine: str | None = None) -> AsyncGenerator[PullEvent, None]:
        """Fetch, verify and place a model. Raises NotFound or ModelMissing."""
        async with aclosing(self._disk.stream(lambda: self._parts.pull(name, engine))) as events:
            async for event in events:
                yield event

    async def remove_model(self, name: str) -> int:
        """Delete a model's files and return the bytes freed."""
        return await self._disk.run(self._parts.remove_model, name)

    async def use(self, name: str) -> str:
        """Make a model the chosen one, here and in the configuration file, and say what was written."""
        info = await self.model(name)
        key = "embedding" if info.role == "embedding" else "chat"
        await self.change("models", key, name)
        missing = "" if info.is_here else f"; fetch it with: termrag models pull {name}"
        return f"models.{key} = {name}{missing}"

    @property
    def loaded_model(self) -> str | None:
        """The chat model that is in memory."""
        chat = self._parts.chats.current
        return chat.engine.model if chat else None

    async def load_models(self) -> AsyncGenerator[AskEvent, None]:
        """Make the models ready for the next question. Raises ModelMissing or EngineFailed."""
        async with aclosing(self._models.stream(self._parts.load_models)) as events:
            async for event in events:
                yield event

    async def unload_models(self) -> None:
        """Free the models; the next use loads them again. An answer in hand keeps its model until it ends."""
        await self._models.run(self._parts.unload_models)

    # --- settings ------------------------------------------------------------------------------------------------

    async def change(self, section: str, key: str, value: object, *, save: bool = True) -> None:
        """Set one setting, in force from the next question on, and kept in the configuration file if `save`. A model
        that is replaced finishes its answers. Raises ConfigError."""
        config = self.config.with_values({section: {key: value}}, f"{section}.{key}")
        if save:
            await self._disk.run(write_setting, self.paths.config_file, section, key, value)
        self.config = config
        await self._models.run(self._parts.change, config)

    # --- the whole -----------------------------------------------------------------------------------------------

    async def status(self) -> Status:
        """What there is. Loads neither model nor store."""
        from termrag.status import take_status

        return await self._disk.run(take_status, self._parts)

    async def examine(self) -> list[Finding]:
        """What may be wrong, each with what mends it."""
        from termrag.doctor import examine

        return await self._disk.run(examine, self._parts)

    async def optimize(self) -> bool:
        """Compact and index the store now; True if anything was done."""
        return await self._disk.run(self._parts.optimize)


def _log(event: Answered) -> None:
    from termrag.logs import log_answer

    answer = event.answer
    log_answer(answer.verdict, answer.engine, answer.model, dict(answer.stages_ms), answer.usage)
