"""Answers of the API that are no core values: lists with their length, and what was done."""

from __future__ import annotations

from dataclasses import dataclass

from termrag.records import Document, DocumentState, Hit, IndexedChunk, ModelInfo
from termrag.server.jobs import Job
from termrag.turns import SessionInfo
from termrag.watchstate import WatchedFolder


@dataclass(frozen=True, slots=True)
class Alive:
    """`state` is alive as long as anything answers."""

    state: str
    version: str
    uptime_s: float


@dataclass(frozen=True, slots=True)
class Ready:
    """`state` is ready or not_ready; the others say why. Sizes in MB."""

    state: str
    model: str
    store: str
    disk: str
    disk_free_mb: int
    answers_in_progress: int
    questions_waiting: int


@dataclass(frozen=True, slots=True)
class Hits:
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Documents:
    """`total` counts those that match, beyond the page too."""

    documents: tuple[Document, ...]
    total: int


@dataclass(frozen=True, slots=True)
class DocumentText:
    """The document's chunks in order."""

    document: Document
    chunks: tuple[IndexedChunk, ...]


@dataclass(frozen=True, slots=True)
class Vector:
    """A chunk's vector, of unit length; None while it is not computed yet."""

    chunk_id: str
    text: str
    values: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class Vectors:
    document_id: str
    dimension: int
    vectors: tuple[Vector, ...]


@dataclass(frozen=True, slots=True)
class Jobs:
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Models:
    models: tuple[ModelInfo, ...]


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Which models are chosen and which is in memory: `loaded` None for none, or the one before while it ends its
    answers. The models are unloaded once they have been `idle_s` of `keep_alive_s` seconds without a question."""

    engine: str
    chat: str
    is_here: bool
    loaded: str | None
    embedding: str
    answers_in_progress: int
    questions_waiting: int
    idle_s: float
    keep_alive_s: float


@dataclass(frozen=True, slots=True)
class Processing:
    """How far a document is. `unembedded` of its `chunks` are found by their words only so far; `jobs` still have to
    look at it."""

    document_id: str
    state: DocumentState
    chunks: int
    unembedded: int
    error: str
    hint: str
    warnings: tuple[str, ...]
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Sessions:
    sessions: tuple[SessionInfo, ...]


@dataclass(frozen=True, slots=True)
class Folders:
    folders: tuple[WatchedFolder, ...]


@dataclass(frozen=True, slots=True)
class Removed:
    """How many documents, models or conversations are gone."""

    removed: int


@dataclass(frozen=True, slots=True)
class Done:
    """What was done, in one sentence."""

    done: str
