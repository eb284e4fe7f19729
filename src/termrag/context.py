"""Passages from text that the user hands over with the question (a pipe, an upload): nothing is stored.

Text that fits the budget goes in whole. From longer text the chunks that fit the question best by words and by meaning
are taken; where the words say nothing, the end of the text stands in, since in a log the last lines tell most.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from termrag import analysis
from termrag.chunking import chunk
from termrag.records import Chunk, Content, Passage
from termrag.retrieval import reciprocal_ranks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]

# Chunks compared by meaning: embedding more would keep the user of a pipe waiting.
_MOST_EMBEDDED = 64
_K1, _B = 1.2, 0.75


def passages_of(
    name: str,
    text: str,
    question: str,
    *,
    embed: Embed,
    count_tokens: Callable[[str], int],
    chunk_tokens: int,
    most_tokens: int,
) -> list[Passage]:
    """The passages of `text` to answer from, in the order of the text, at most `most_tokens` together."""
    content = Content(text, kind="text", lines_match=True)
    chunks = chunk(content, count_tokens, chunk_tokens)
    if sum(each.tokens for each in chunks) > most_tokens:
        chunks = _best(chunks, question, embed, most_tokens)
    ordered = sorted(chunks, key=lambda each: each.position)
    return [_passage(number, name, each) for number, each in enumerate(ordered, 1)]


def _best(chunks: Sequence[Chunk], question: str, embed: Embed, most_tokens: int) -> list[Chunk]:
    """The best chunks by reciprocal rank fusion of words and meaning that fit into `most_tokens`."""
    by_words = [each for each, score in _by_words(chunks, question) if score > 0]
    tail = list(reversed(chunks[-_MOST_EMBEDDED:]))
    near = list({each.position: each for each in [*by_words[: _MOST_EMBEDDED // 2], *tail]}.values())[:_MOST_EMBEDDED]
    vectors = embed([question, *(each.text for each in near)])
    cosines = vectors[1:] @ vectors[0]
    by_meaning = [near[index] for index in (-cosines).argsort()]
    fused = reciprocal_ranks([(0.5, [each.position for each in ranking]) for ranking in (by_words, by_meaning)])
    taken: list[Chunk] = []
    for position in fused:
        if sum(each.tokens for each in taken) + chunks[position].tokens <= most_tokens:
            taken.append(chunks[position])
    return taken


def _by_words(chunks: Sequence[Chunk], question: str) -> list[tuple[Chunk, float]]:
    """Chunks by BM25 of the question's words, best first."""
    wanted = set(analysis.query_terms(question).split())
    bags = [Counter(analysis.terms(each.text, "").split()) for each in chunks]
    sizes = [sum(bag.values()) for bag in bags]
    mean = sum(sizes) / len(sizes) or 1.0
    spread = {term: sum(term in bag for bag in bags) for term in wanted}

    def score(bag: Counter[str], size: int) -> float:
        total = 0.0
        for term in wanted & bag.keys():
            rarity = math.log(1 + (len(bags) - spread[term] + 0.5) / (spread[term] + 0.5))
            total += rarity * bag[term] * (_K1 + 1) / (bag[term] + _K1 * (1 - _B + _B * size / mean))
        return total

    scored = [(each, score(bag, size)) for each, bag, size in zip(chunks, bags, sizes, strict=True)]
    return sorted(scored, key=lambda pair: -pair[1])


def _passage(number: int, name: str, each: Chunk) -> Passage:
    return Passage(
        number=number,
        document_id="",
        path=name,
        title=name,
        heading=each.heading,
        page=None,
        page_label="",
        start_line=each.start_line,
        end_line=each.end_line,
        lines_match=True,
        text=each.text,
        content_hash="",
        media_type="text/plain",
        score=1.0,
    )
