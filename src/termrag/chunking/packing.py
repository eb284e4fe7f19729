"""Pieces to chunks at least cost, by dynamic programming.

Each chunk costs a constant, the square of its empty share, what a cut before it costs and what going on across its
inner boundaries costs; the sum over a run of pieces is made minimal, as Knuth and Plass break a paragraph into lines
(Software: Practice and Experience 11, 1981).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from termrag.chunking.cutting import Piece

_PER_CHUNK = 0.3  # with the empty share's square this joins small neighbours and leaves half full ones alone
_WINDOW = 2000  # pieces packed at once: a text without end costs bounded memory


def packed(pieces: Iterable[Piece], max_tokens: int) -> Iterator[list[Piece]]:
    """The pieces in order, those of one chunk together: at most `max_tokens` each, never across a page break."""
    run: list[Piece] = []
    for piece in pieces:
        if run and piece.page_break:
            yield from _cheapest(run, max_tokens)
            run = []
        run.append(piece)
        if len(run) >= _WINDOW:
            *done, last = _cheapest(run, max_tokens)
            yield from done
            run = last if done else []
            if not done:
                yield last
    yield from _cheapest(run, max_tokens)


def _cheapest(run: list[Piece], max_tokens: int) -> list[list[Piece]]:
    best = [0.0] * (len(run) + 1)
    begins = [0] * (len(run) + 1)
    for end in range(1, len(run) + 1):
        best[end] = float("inf")
        size, spanned = 0, 0.0
        for begin in range(end - 1, -1, -1):
            piece = run[begin]
            size += piece.size
            full = size + piece.header_size
            if full > max_tokens and begin < end - 1:
                if size > max_tokens:
                    break
                spanned += piece.span
                continue
            cost = best[begin] + _PER_CHUNK + max(0.0, 1.0 - full / max_tokens) ** 2 + spanned
            cost += piece.cut if begin else 0.0
            if cost < best[end]:
                best[end], begins[end] = cost, begin
            spanned += piece.span
    chunks: list[list[Piece]] = []
    end = len(run)
    while end:
        chunks.append(run[begins[end] : end])
        end = begins[end]
    return chunks[::-1]
