"""The frozen values of an index looked at as a whole: what it measures, and what was found wrong with it."""

from __future__ import annotations

from termrag import light


@light.dataclass(frozen=True, slots=True)
class IndexStats:
    """`documents` and `chunks` are the ledger's, `stored_*` the store's; `waiting` documents lack vectors. `place` is a
    folder or a URI. An empty `vector_index` means that every vector is compared: right for a small library."""

    store: str
    place: str
    documents: int
    chunks: int
    stored_documents: int
    stored_chunks: int
    waiting: int
    size_bytes: int
    fragments: int
    unindexed_chunks: int
    vector_index: str
    embedder: str
    dimension: int
    chunker: str
    analyzer: str


@light.dataclass(frozen=True, slots=True)
class Problem:
    """One thing that ledger and store do not agree on. `kind` is orphan, missing, differs, vectors, counts, unfinished
    or recall; `mended` says what was done about it, or is empty."""

    kind: str
    path: str
    detail: str
    document_id: str = ""
    mended: str = ""


@light.dataclass(frozen=True, slots=True)
class IndexReport:
    """What `index verify` found. `recall` is the share of the exact 10 nearest that the index finds, 0 to 1; None for
    an index without vectors."""

    documents: int
    chunks: int
    problems: tuple[Problem, ...]
    recall: float | None = None

    @property
    def is_sound(self) -> bool:
        return all(problem.mended for problem in self.problems)
