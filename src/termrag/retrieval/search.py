"""Hybrid search: both legs of the store, fused, near-duplicates taken out, every score explained."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

from termrag.analysis import Keyword, coverage, indexable, keywords, query_terms, terms
from termrag.config import RetrievalSettings
from termrag.records import Filters, Hit, IndexedChunk, Scores
from termrag.retrieval.duplicates import Seen
from termrag.retrieval.fusion import reciprocal_ranks, vector_weight
from termrag.stores import Found, Searchable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Mode = Literal["hybrid", "vector", "text"]

_NAME_GAIN = 2.0  # a document named by the whole question weighs three times as much
_CROWDED = 0.1  # below this share of chunks that are not their document's only one, names weigh nothing
_LIFT = 1.25  # for documents that the last answers cite: enough to pass those that the rules of fusion put just above
_LATE = 8  # chunks without vectors that a search computes itself: a quarter of a second on a CPU
_JUDGED = 5  # best chunks of each leg: they tell in what language and form the answer is written
_beside = ThreadPoolExecutor(8, thread_name_prefix="words")  # threads begin with the first search


def search(
    query: str,
    *,
    store: Searchable,
    embed: Callable[[Sequence[str]], NDArray[np.float32]],
    settings: RetrievalSettings,
    limit: int,
    filters: Filters | None = None,
    mode: Mode = "hybrid",
    languages: Sequence[str] = (),
    count_tokens: Callable[[str], int] | None = None,
    unembedded: Callable[[Collection[str]], Collection[str]] = lambda _: (),
    vector: NDArray[np.float32] | None = None,
) -> list[Hit]:
    """Return at most `limit` chunks, best first, near-duplicates left out.

    `languages` are those of the library, most frequent first; `count_tokens` is the embedder's: it tells how far the
    vectors can be trusted. `unembedded` tells which of some documents lack vectors yet: the best of their chunks that
    the words find are embedded here, so that nothing new is ranked behind what is old. A leg brings
    `settings.candidates` chunks, or `limit` if that is more. A `vector`, of unit length, stands in place of the query's
    embedding; without one, a query without words finds nothing. Raises what the store and the embedder raise.
    """
    if not query.strip() and vector is None:
        return []
    if vector is not None:
        count_tokens = None  # who brings a vector trusts it: what our tokenizer makes of the words says nothing of it
    filters, depth = filters or Filters(), max(settings.candidates, limit)
    wanted = keywords(query, languages)
    found_words = _begin_words(store, query_terms(query, languages) if mode != "vector" else "", depth, filters)
    by_vector: Sequence[Found] = []
    if mode != "text":
        vector = embed([query])[0] if vector is None else vector
        by_vector = store.search_vector(vector, depth, filters)
        late = _without_vector(found_words()[:_LATE], by_vector, unembedded)
        by_vector = _with_late(by_vector, late, vector, embed)[:depth]
    by_words = found_words()
    weight = {"vector": 1.0, "text": 0.0}.get(mode)
    if weight is None:
        best = {found.chunk.chunk_id: found.chunk.text for found in (*by_words[:_JUDGED], *by_vector[:_JUDGED])}
        weight = vector_weight(query, list(best.values()), count_tokens)
    seen = Seen()
    hits: list[Hit] = []
    for hit in sorted(_named(list(_fused(by_words, by_vector, weight)), wanted), key=lambda hit: -hit.scores.fused):
        if len(hits) == limit:
            break
        if seen.is_new(hit.chunk):
            hits.append(_with_coverage(hit, wanted))
    return hits


def _begin_words(store: Searchable, terms: str, depth: int, filters: Filters) -> Callable[[], Sequence[Found]]:
    """Look the words up while the query is embedded; what is returned waits for what they find."""
    return _beside.submit(store.search_terms, terms, depth, filters).result if terms else tuple


def lift(hits: Sequence[Hit], document_ids: Collection[str]) -> list[Hit]:
    """The hits in their order after those of some documents weigh more: what a conversation speaks of."""
    if not document_ids:
        return list(hits)
    lifted = [
        Hit(hit.chunk, replace(hit.scores, fused=hit.scores.fused * _LIFT))
        if hit.chunk.document_id in document_ids
        else hit
        for hit in hits
    ]
    return sorted(lifted, key=lambda hit: -hit.scores.fused)


def _without_vector(
    by_words: Sequence[Found], by_vector: Sequence[Found], unembedded: Callable[[Collection[str]], Collection[str]]
) -> list[IndexedChunk]:
    known = {found.chunk.chunk_id for found in by_vector}
    chunks = [found.chunk for found in by_words if found.chunk.chunk_id not in known]
    waiting = unembedded({chunk.document_id for chunk in chunks}) if chunks else ()
    return [chunk for chunk in chunks if chunk.document_id in waiting]


def _with_late(
    by_vector: Sequence[Found],
    late: Sequence[IndexedChunk],
    vector: NDArray[np.float32],
    embed: Callable[[Sequence[str]], NDArray[np.float32]],
) -> Sequence[Found]:
    if not late:
        return by_vector
    cosines = embed([indexable(chunk.title, chunk.heading, chunk.text) for chunk in late]) @ vector
    added = [Found(chunk, float(cosine)) for chunk, cosine in zip(late, cosines, strict=True)]
    return sorted([*by_vector, *added], key=lambda found: -found.score)


def _fused(by_words: Sequence[Found], by_vector: Sequence[Found], weight: float) -> Iterator[Hit]:
    words = {found.chunk.chunk_id: (rank, found.score, found.chunk) for rank, found in enumerate(by_words, 1)}
    vectors = {found.chunk.chunk_id: (rank, found.score, found.chunk) for rank, found in enumerate(by_vector, 1)}
    either = vectors | words
    for chunk_id, score in reciprocal_ranks([(1.0 - weight, list(words)), (weight, list(vectors))]).items():
        bm25_rank, bm25, _ = words.get(chunk_id, (None, None, None))
        cosine_rank, cosine, _ = vectors.get(chunk_id, (None, None, None))
        yield Hit(either[chunk_id][2], Scores(score, cosine, cosine_rank, bm25, bm25_rank, weight))


def _named(hits: Sequence[Hit], wanted: Sequence[Keyword]) -> Iterator[Hit]:
    """Lift the chunks of documents whose file name and title hold words of the question.

    Where many chunks of few documents compete (the pages of ten annual reports), the document's name tells which is
    meant; where every chunk is a document of its own, its title is but part of the text and weighs nothing here.
    """
    documents = {hit.chunk.document_id: hit.chunk for hit in hits}
    crowding = 1.0 - len(documents) / len(hits) if hits else 0.0
    if crowding < _CROWDED:
        yield from hits
        return
    asked = {term for keyword in wanted for form in keyword.forms for term in form}
    shares: dict[str, float] = {}
    for each, chunk in documents.items():
        held = asked & _name_of(chunk)
        shares[each] = coverage(wanted, held) if held else 0.0
    for hit in hits:
        share = shares[hit.chunk.document_id]
        fused = hit.scores.fused * (1.0 + _NAME_GAIN * crowding * share)
        yield Hit(hit.chunk, replace(hit.scores, fused=fused, named=share)) if share else hit


def _name_of(chunk: IndexedChunk) -> frozenset[str]:
    return _named_terms(f"{PurePath(chunk.path).stem} {chunk.title}", chunk.language)


@lru_cache(maxsize=8192)  # each search looks at the names of some hundred documents
def _named_terms(name: str, language: str) -> frozenset[str]:
    return frozenset(terms(name, language).split())


def _with_coverage(hit: Hit, wanted: Sequence[Keyword]) -> Hit:
    share = coverage(wanted, _terms_of(hit.chunk))
    return Hit(hit.chunk, replace(hit.scores, coverage=share))


def _terms_of(chunk: IndexedChunk) -> frozenset[str]:
    return _terms_in(indexable(chunk.title, chunk.heading, chunk.text), chunk.language)


@lru_cache(maxsize=1024)  # what is asked about is found again by the next question
def _terms_in(text: str, language: str) -> frozenset[str]:
    return frozenset(terms(text, language).split())
