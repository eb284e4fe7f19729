"""Passages from texts that the user hands over with the question (a pipe, files): nothing is stored.

Text that fits the budget goes in whole. From longer text the chunks that fit the question best by words and by meaning
are taken; where the words say nothing, the end of the text stands in, since in a log the last lines tell most.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Handed:
    """A text that came with the question. `name` is what a citation calls it."""

    name: str
    content: Content


def handed_text(name: str, text: str) -> Handed:
    """Plain text, such as a pipe brings."""
    return Handed(name, Content(text, kind="text", lines_match=True))


def passages_of(
    texts: Sequence[Handed],
    question: str,
    *,
    embed: Embed,
    count_tokens: Callable[[str], int],
    chunk_tokens: int,
    most_tokens: int,
) -> list[Passage]:
    """The passages of the texts to answer from, in the order of the texts, at most `most_tokens` together."""
    pieces = [_Piece(text, each) for text in texts for each in chunk(text.content, count_tokens, chunk_tokens)]
    if sum(each.chunk.tokens for each in pieces) > most_tokens:
        pieces = _best(pieces, question, embed, most_tokens)
    return [_passage(number, each) for number, each in enumerate(pieces, 1)]


@dataclass(frozen=True, slots=True)
class _Piece:
    source: Handed
    chunk: Chunk

    @property
    def text(self) -> str:
        return self.chunk.text


def _best(pieces: Sequence[_Piece], question: str, embed: Embed, most_tokens: int) -> list[_Piece]:
    """The best pieces by reciprocal rank fusion of words and meaning that fit into `most_tokens`, in their order."""
    scores = _by_words(pieces, question)
    by_words = [index for index, score in scores if score > 0]
    tail = list(range(len(pieces)))[-_MOST_EMBEDDED:][::-1]
    near = list(dict.fromkeys([*by_words[: _MOST_EMBEDDED // 2], *tail]))[:_MOST_EMBEDDED]
    vectors = embed([question, *(pieces[index].text for index in near)])
    cosines = vectors[1:] @ vectors[0]
    by_meaning = [near[index] for index in (-cosines).argsort()]
    taken: list[int] = []
    for index in reciprocal_ranks([(0.5, by_words), (0.5, by_meaning)]):
        if sum(pieces[each].chunk.tokens for each in taken) + pieces[index].chunk.tokens <= most_tokens:
            taken.append(index)
    return [pieces[index] for index in sorted(taken)]


def _by_words(pieces: Sequence[_Piece], question: str) -> list[tuple[int, float]]:
    """Indexes of the pieces by BM25 of the question's words, best first."""
    wanted = set(analysis.query_terms(question).split())
    bags = [Counter(analysis.terms(each.text, "").split()) for each in pieces]
    sizes = [sum(bag.values()) for bag in bags]
    mean = sum(sizes) / len(sizes) or 1.0
    spread = {term: sum(term in bag for bag in bags) for term in wanted}

    def score(bag: Counter[str], size: int) -> float:
        total = 0.0
        for term in wanted & bag.keys():
            rarity = math.log(1 + (len(bags) - spread[term] + 0.5) / (spread[term] + 0.5))
            total += rarity * bag[term] * (_K1 + 1) / (bag[term] + _K1 * (1 - _B + _B * size / mean))
        return total

    scored = [(index, score(bag, size)) for index, (bag, size) in enumerate(zip(bags, sizes, strict=True))]
    return sorted(scored, key=lambda pair: -pair[1])


def _passage(number: int, piece: _Piece) -> Passage:
    source, each = piece.source, piece.chunk
    return Passage(
        number=number,
        document_id="",
        path=source.name,
        title=source.content.title or source.name,
        heading=each.heading,
        page=each.page,
        page_label=each.page_label,
        start_line=each.start_line,
        end_line=each.end_line,
        lines_match=source.content.lines_match,
        text=each.text,
        content_hash="",
        media_type=source.content.media_type,
        score=1.0,
    )
