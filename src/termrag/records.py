"""The frozen values that every part speaks in; holds no behaviour beyond small derived properties.

Units: sizes in bytes, times in seconds, file times in nanoseconds since the epoch, lines and pages from 1,
character offsets from 0 (end exclusive), token counts of the embedder's tokenizer unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from termrag import light
from termrag.errors import Exit
from termrag.kinds import DocumentState as DocumentState
from termrag.kinds import Support as Support
from termrag.kinds import Verdict as Verdict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


# --- documents -------------------------------------------------------------------------------------------------


@light.dataclass(frozen=True, slots=True)
class PageMark:
    """Where a page begins in a content's text: `number` is physical, from 1; `label` is what the page calls itself."""

    start_char: int
    number: int
    label: str = ""


@light.dataclass(frozen=True, slots=True)
class Content:
    """The text of one file as a reader gives it.

    `kind` is one of markdown, text, code, table. `lines_match` says that line n of `text` is line n of the file
    itself, so that a citation may name lines. `pages` is empty for what has no pages.
    """

    text: str
    kind: str = "text"
    media_type: str = "text/plain"
    syntax: str = ""
    lines_match: bool = False
    pages: tuple[PageMark, ...] = ()
    title: str = ""
    author: str = ""
    created: str = ""
    tags: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@light.dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a document, as chunking cuts it: `text` is `content.text[start_char:end_char]`, except that a
    table cut in several pieces repeats its header row in front of each later piece."""

    position: int
    text: str
    heading: str
    page: int | None
    page_label: str
    start_line: int
    end_line: int
    start_char: int
    end_char: int
    tokens: int


@light.dataclass(frozen=True, slots=True)
class GivenChunk:
    """A piece of a text that came cut. `vector`, of any length but 0, stands in place of its embedding; None where that
    is still to be computed."""

    text: str
    vector: tuple[float, ...] | None = None


@light.dataclass(frozen=True, slots=True)
class Document:
    """A file that the library knows. `id` is given once and follows the file through renames. `unembedded` of its
    chunks are found by their words only, until their vectors are computed."""

    id: str
    path: str
    state: DocumentState
    size_bytes: int
    modified_ns: int
    content_hash: str
    media_type: str = ""
    title: str = ""
    author: str = ""
    created: str = ""
    language: str = ""
    pages: int = 0
    chunks: int = 0
    tags: tuple[str, ...] = ()
    error: str = ""
    hint: str = ""
    warnings: tuple[str, ...] = ()
    indexed_at: float = 0.0
    unembedded: int = 0


@light.dataclass(frozen=True, slots=True)
class IndexedChunk:
    """A chunk with all that a reader of the store needs to show and cite it.

    `lines_match`: lines are those of the file itself. `text_hash` keys the embedding: equal text, equal vector.
    """

    document_id: str
    position: int
    path: str
    title: str
    heading: str
    page: int | None
    page_label: str
    start_line: int
    end_line: int
    lines_match: bool
    text: str
    text_hash: str
    content_hash: str
    media_type: str
    language: str
    modified_ns: int
    collection: str = ""  # the library it was found in, where several were searched

    @property
    def chunk_id(self) -> str:
        return f"{self.document_id}#{self.position:06d}"


@light.dataclass(frozen=True, slots=True)
class Row:
    """What is written to a store: an indexed chunk, the analysed words that full-text search sees, its vector; None
    while it is not computed yet."""

    chunk: IndexedChunk
    terms: str
    vector: NDArray[np.float32] | None


@light.dataclass(frozen=True, slots=True)
class Filters:
    """Which chunks a search may see. Empty fields do not limit; several fields all hold; entries within one are or-ed.

    `globs` match the absolute path as a shell would (`*` within a name, `**` across folders); `types` are suffixes
    without the dot; `after_ns` and `before_ns` bound the modification time, half open.
    """

    globs: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    after_ns: int | None = None
    before_ns: int | None = None
    document_ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self != Filters()


# --- search and answer -----------------------------------------------------------------------------------------


@light.dataclass(frozen=True, slots=True)
class Scores:
    """Why a hit stands where it stands. Ranks from 1; None where a leg did not find it."""

    fused: float
    cosine: float | None = None
    cosine_rank: int | None = None
    bm25: float | None = None
    bm25_rank: int | None = None
    vector_weight: float = 0.5
    coverage: float = 0.0  # share of the question's weighted words that the chunk holds, 0 to 1
    named: float = 0.0  # share of them that the document's file name and title hold, 0 to 1


@light.dataclass(frozen=True, slots=True)
class Hit:
    """One found chunk."""

    chunk: IndexedChunk
    scores: Scores


@light.dataclass(frozen=True, slots=True)
class Passage:
    """What goes into a prompt under one number: a hit, merged with its neighbours under the same heading."""

    number: int
    document_id: str
    path: str
    title: str
    heading: str
    page: int | None
    page_label: str
    start_line: int
    end_line: int
    lines_match: bool
    text: str
    content_hash: str
    media_type: str
    score: float
    chunk_ids: tuple[str, ...] = ()
    collection: str = ""

    @property
    def place(self) -> str:
        return place(self)


@light.dataclass(frozen=True, slots=True)
class Citation:
    """Ties a sentence to the passage it rests on; `quote` is the span of the passage that carries it."""

    number: int
    document_id: str
    path: str
    page: int | None
    page_label: str
    start_line: int
    end_line: int
    lines_match: bool
    heading: str
    quote: str
    score: float
    content_hash: str
    collection: str = ""

    @property
    def place(self) -> str:
        return place(self)


def place(where: IndexedChunk | Passage | Citation) -> str:
    """`file.pdf p. 12`, `notes.md:40-58`, or the name and heading where neither page nor lines are known."""
    name = where.path.rsplit("/", 1)[-1]
    if where.page is not None:
        return f"{name} p. {where.page_label or where.page}"
    if where.lines_match:
        lines = f"{where.start_line}-{where.end_line}" if where.end_line > where.start_line else f"{where.start_line}"
        return f"{name}:{lines}"
    return f"{name} § {where.heading}" if where.heading else name


@light.dataclass(frozen=True, slots=True)
class Sentence:
    """One finished sentence of an answer. `text` is as generated; faces add the citation numbers."""

    text: str
    support: Support
    citations: tuple[Citation, ...] = ()
    score: float = 0.0
    reason: str = ""


@light.dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. `role` is system, user or assistant."""

    role: str
    content: str


@light.dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. `temperature` 0 is greedy; `top_k` 0 and `min_p` 0 are off; `seed` None is random."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    max_tokens: int = 512
    stop: tuple[str, ...] = ()


@light.dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of the chat model's own tokenizer, and the timings of one generation.

    `cached_tokens` is the part of `prompt_tokens` taken from the engine's prompt cache. `first_token_s` counts from
    the request; `tokens_per_second` is decoding alone.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    first_token_s: float = 0.0
    tokens_per_second: float = 0.0
    prompt_tokens_per_second: float = 0.0


@light.dataclass(frozen=True, slots=True)
class BudgetLine:
    """One entry of the context ledger: what it was, what it cost, and why it was left out (empty: it went in)."""

    part: str
    tokens: int
    cut: str = ""


@light.dataclass(frozen=True, slots=True)
class Budget:
    """What went into the prompt. `total` is the exact token count of the prompt and the sum of what went in."""

    limit: int
    total: int
    lines: tuple[BudgetLine, ...] = ()


@light.dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer. `text` is what the model said, cleaned, without citation marks; `cited_text` has them."""

    question: str
    verdict: Verdict
    text: str
    cited_text: str
    sentences: tuple[Sentence, ...] = ()
    passages: tuple[Passage, ...] = ()
    reason: str = ""
    usage: Usage = field(default_factory=Usage)
    budget: Budget | None = None
    model: str = ""
    engine: str = ""
    stages_ms: Sequence[tuple[str, float]] = ()
    notices: tuple[str, ...] = ()
    is_cut_off: bool = False  # the model was still speaking when the longest answer was reached

    @property
    def exit_code(self) -> Exit:
        match self.verdict:
            case Verdict.NOT_FOUND:
                return Exit.NOT_FOUND
            case Verdict.PARTIAL:
                return Exit.PARTIAL
            case Verdict.STOPPED:
                return Exit.INTERRUPTED
            case _:
                return Exit.OK


# --- state of the whole ----------------------------------------------------------------------------------------


@light.dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model of the catalogue (or a path or URL the user gave) as this machine has it.

    `role` is chat or embedding. `engines` are those it has a source for; `files` maps engine to the local path of
    what that engine loads, only for what is here.
    """

    name: str
    role: str
    licence: str
    description: str
    size_bytes: int
    engines: tuple[str, ...]
    files: dict[str, str]
    context_length: int = 0
    dimension: int = 0
    active: bool = False

    @property
    def is_here(self) -> bool:
        return bool(self.files)


@light.dataclass(frozen=True, slots=True)
class Status:
    """What `termrag status` shows."""

    library: str
    documents: int
    failed: int
    chunks: int
    store: str
    size_bytes: int
    embedder: str
    engine: str
    engine_reason: str
    model: str
    model_is_here: bool
    failures: tuple[Document, ...] = ()
    unembedded: int = 0  # documents that are found by their words only so far
    store_notice: str = ""  # that the store's server does not answer, and what is done about it
