"""Content to chunks: pure, deterministic, ignorant of files and models.

A content is laid out as blocks (outline), long blocks are cut by sentences, lines, words or characters (cutting), and
the cheapest way to pack the pieces is chosen (packing). What comes out is counted once more: no chunk is too long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from termrag.chunking.cutting import CountTokens, Piece, pieces_of, sizer, word_bound
from termrag.chunking.headings import SEPARATOR, main_path
from termrag.chunking.packing import packed
from termrag.chunking.places import Places
from termrag.chunking.sentences import halving_point
from termrag.records import Chunk, Content

__all__ = ["CHUNKER_VERSION", "CountTokens", "chunk", "word_bound"]

CHUNKER_VERSION = "2"
"""Changes whenever the same content may give other chunks; part of what a library was built with."""

_JOINT = 2  # tokens that joining two texts may cost at most; where that might exceed a limit, the whole is counted


def chunk(content: Content, count_tokens: CountTokens, max_tokens: int = 256) -> list[Chunk]:
    """Cut a content into chunks of at most `max_tokens` by `count_tokens`, most of them at least 60 % full.

    Every visible character is in at least one chunk. Where a table is cut, the pieces after the first begin with its
    header row, which their span leaves out.
    """
    size = sizer(count_tokens)
    places = Places(content)
    chunks: list[Chunk] = []
    for part in packed(pieces_of(content, size, max_tokens), max_tokens):
        chunks.extend(_finished(part, content, places, size, max_tokens))
    return [replace(made, position=position) for position, made in enumerate(chunks)]


def _finished(
    part: list[Piece], content: Content, places: Places, size: CountTokens, max_tokens: int
) -> Iterator[Chunk]:
    """The chunk that `part` makes, or several if the whole counts more tokens than its pieces did."""
    start, end = places.visible(part[0].start, part[-1].end)
    if start == end:
        return
    text = content.text[start:end]
    if part[0].header:
        text = f"{content.text[slice(*part[0].header)]}\n{text}"
    tokens = part[0].header_size + sum(piece.size for piece in part)
    if tokens + _JOINT * len(part) > max_tokens:
        tokens = size(text)
    if tokens <= max_tokens:
        page, label = places.page(start)
        yield Chunk(
            position=0,
            text=text,
            heading=SEPARATOR.join(_path(part)),
            page=page,
            page_label=label,
            start_line=places.line(start),
            end_line=places.line(end - 1),
            start_char=start,
            end_char=end,
            tokens=tokens,
        )
        return
    for half in _halves(part, content.text):
        yield from _finished(half, content, places, size, max_tokens)


def _path(part: list[Piece]) -> tuple[str, ...]:
    """What a chunk stands under; a heading right above another one says nothing of its own."""
    return main_path([(piece.path, piece.size) for piece in part if not piece.is_heading] or [(part[-1].path, 1)])


def _halves(part: list[Piece], text: str) -> list[list[Piece]]:
    first = replace(part[0], header=None)
    if part[0].header:
        return [[first, *part[1:]]]
    if len(part) > 1:
        middle = len(part) // 2
        return [part[:middle], part[middle:]]
    point = halving_point(text, first.start, first.end)
    return [[replace(first, end=point)], [replace(first, start=point)]]
