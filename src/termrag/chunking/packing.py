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
    if not run:
        return []
    costs = [(piece.size, piece.header_size, piece.cut, piece.span) for piece in run]
    costs[0] = (*costs[0][:2], 0.0, 0.0)
    best = [0.0]
    begins = [0]
    for end in range(len(run)):
        size, spanned, least, at = 0, 0.0, float("inf"), end
        for begin in range(end, -1, -1):
            more, header, cut, span = costs[begin]
            size += more
            if size > max_tokens and begin < end:
                break
            empty = 1.0 - (size + header) / max_tokens
            if empty >= 0.0 or begin == end:
                cost = best[begin] + cut + spanned + (empty * empty if empty > 0.0 else 0.0)
                if cost < least:
                    least, at = cost, begin
            spanned += span
        best.append(least + _PER_CHUNK)
        begins.append(at)
    chunks: list[list[Piece]] = []
    end = len(run)
    while end:
        chunks.append(run[begins[end] : end])
        end = begins[end]
    return chunks[::-1]
