"""Blocks to pieces: what is never cut again, with its size and what a cut before it would cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from termrag.chunking.outline import FENCED_LINE, Block, Line, outline
from termrag.chunking.sentences import continues_over, halving_point, line_starts, sentence_starts
from termrag.records import Content

CountTokens = Callable[[str], int]

_SMALL = 1.2  # blocks of so many characters per token of a chunk, about a quarter of it, are not looked into
_CHARS_PER_TOKEN = 10  # a word that a tokenizer does not know is one token however long: bound the characters too
_WINDOW_CHARS = 8  # characters per token that a first rough cut of an endless line allows
_ROW_CHARS = 0.3  # rows of fewer characters per token of a chunk are taken together, to count fewer and longer texts
_SPELLED = 0.7  # tokens per letter from which a tokenizer spells instead of reading
_LONG_WORD = 10  # letters per word
_TOKENS_PER_WORD = 2.5  # of a language that a tokenizer knows little
_HEADER_SHARE = 3  # a table head of more than a third of a chunk is not repeated
_SENTENCE = 0.15
_SENTENCE_AND_LINE = 0.06
_LINE = 0.3
_WORD = 0.8


@dataclass(frozen=True, slots=True)
class Piece:
    """`size` in tokens as `sizer` counts; `end` is where the next piece begins. `header` is repeated in front of a
    chunk that begins with this piece and takes `header_size` tokens. Costs as in Block."""

    start: int
    end: int
    size: int
    path: tuple[str, ...]
    cut: float
    span: float = 0.0
    header: Line | None = None
    header_size: int = 0
    page_break: bool = False
    is_heading: bool = False


def word_bound(count_tokens: CountTokens) -> CountTokens:
    """Count no more than a few tokens for a word of a script that the tokenizer does not know and spells letter by
    letter: chunks would shrink to two sentences, for the sake of a model that cannot read them anyway."""

    def count(text: str) -> int:
        words = text.split()
        tokens, letters = count_tokens(text), sum(map(len, words))
        # On average long words: a script without spaces, where a letter is much of a word.
        if tokens < _SPELLED * letters or letters > _LONG_WORD * len(words):
            return tokens
        return min(tokens, math.ceil(_TOKENS_PER_WORD * len(words)))

    return count


def sizer(count_tokens: CountTokens) -> CountTokens:
    """Tokens of a text, or a tenth of its characters if that is more."""

    def size(text: str) -> int:
        return max(count_tokens(text), -(-len(text) // _CHARS_PER_TOKEN))

    return size


def pieces_of(content: Content, size: CountTokens, max_tokens: int) -> Iterator[Piece]:
    """All pieces of a content in order, each of at most `max_tokens`; they tile it from its first visible line on."""
    cutter = _Cutter(content.text, size, max_tokens)
    table: list[Piece] = []
    for block, end in _with_ends(content, int(max_tokens * _ROW_CHARS)):
        if table and block.header is None:
            yield from cutter.table(table)
            table = []
        if block.grain != "row":
            yield from cutter.cut(block, end)
            continue
        table.append(cutter.row(block, end))
        if sum(row.size for row in table) > max_tokens and table[0].header is None:
            yield from cutter.table(table)  # too long to stay whole: its rows go on one by one
            table = []
        elif table[0].header is not None:
            yield from cutter.rows(table)
            table = []
    yield from cutter.table(table)


def _with_ends(content: Content, row_chars: int) -> Iterator[tuple[Block, int]]:
    """Blocks with their ends; the first of each page is marked, short rows of a table come several at once."""
    marks = iter(content.pages[1:])
    mark = next(marks, None)
    held: Block | None = None
    for block in outline(content):
        if mark and block.start >= mark.start_char:
            block = replace(block, page_break=True)
            while mark and block.start >= mark.start_char:
                mark = next(marks, None)
        if held and held.header and held.header == block.header and block.start - held.start < row_chars:
            continue
        if held:
            yield held, block.start
        held = block
    if held:
        yield held, len(content.text)


class _Cutter:
    def __init__(self, text: str, size: CountTokens, max_tokens: int) -> None:
        self._text = text
        self._size = size
        self._max = max_tokens
        self._header: Line | None = None
        self._header_size = 0

    def cut(self, block: Block, end: int) -> Iterator[Piece]:
        """The pieces of one block."""
        continued = block.page_break and continues_over(self._text, block.start)
        small = end - block.start <= self._max * _SMALL and not continued
        if small or block.grain in ("whole", "fence"):
            whole = self._piece(block, end)
            if whole.size <= self._max:
                yield whole
                return
        whole = Piece(block.start, end, 0, block.path, block.cut, block.span)
        parts = self._prose(whole) if block.grain in ("prose", "whole") else self._lines(whole, block.grain)
        for number, part in enumerate(parts):
            opens_page = block.page_break and number == int(continued)
            if number == 0:
                yield replace(part, cut=block.cut, span=block.span, page_break=opens_page)
            else:
                yield replace(part, page_break=True) if opens_page else part

    def row(self, block: Block, end: int) -> Piece:
        """A row of a table with the head that would be repeated above it."""
        if block.header != self._header:
            self._header = block.header
            self._header_size = self._size(self._text[slice(*block.header)]) if block.header else 0
        size = self._size(self._text[block.start : end])
        if not block.header or max(self._header_size * _HEADER_SHARE, size + self._header_size) > self._max:
            return Piece(block.start, end, size, block.path, block.cut)
        return Piece(block.start, end, size, block.path, block.cut, 0.0, block.header, self._header_size)

    def table(self, rows: list[Piece]) -> Iterator[Piece]:
        """A table as one piece if it fits, else row by row."""
        total = sum(row.size for row in rows)
        if len(rows) > 1 and total <= self._max and rows[0].header is None:
            yield replace(rows[0], end=rows[-1].end, size=total)
            return
        yield from self.rows(rows)

    def rows(self, rows: list[Piece]) -> Iterator[Piece]:
        for row in rows:
            yield from self._halved(row) if row.size > self._max else (row,)

    def _piece(self, block: Block, end: int) -> Piece:
        size = self._size(self._text[block.start : end])
        is_heading = block.grain == "whole"
        return Piece(block.start, end, size, block.path, block.cut, block.span, None, 0, block.page_break, is_heading)

    def _prose(self, whole: Piece) -> Iterator[Piece]:
        starts = sentence_starts(self._text, whole.start, whole.end)
        for start, end in zip(starts, [*starts[1:], whole.end], strict=True):
            after_line = start > whole.start and "\n" in self._text[max(start - 3, 0) : start]
            sentence = self._part(whole, start, end, _SENTENCE_AND_LINE if after_line else _SENTENCE)
            if sentence.size > self._max:
                yield from self._lines(sentence, "lines")
            else:
                yield sentence

    def _lines(self, whole: Piece, grain: str) -> Iterator[Piece]:
        starts = line_starts(self._text, whole.start, whole.end)
        for number, (start, end) in enumerate(zip(starts, [*starts[1:], whole.end], strict=True)):
            cut = whole.cut if number == 0 else FENCED_LINE if grain == "fence" else _LINE
            line = self._part(whole, start, end, cut)
            yield from self._halved(line) if line.size > self._max else (line,)

    def _halved(self, piece: Piece) -> Iterator[Piece]:
        """A piece without inner structure, cut in two until its parts fit; rough windows first, so that the cost
        stays linear on an endless line."""
        window = self._max * _WINDOW_CHARS
        place, cut = piece.start, piece.cut
        while piece.end - place > 2 * window:
            point = halving_point(self._text, place, place + 2 * window)
            yield from self._fitting(piece, place, point, cut)
            place, cut = point, _WORD
        yield from self._fitting(piece, place, piece.end, cut)

    def _fitting(self, piece: Piece, start: int, end: int, cut: float) -> Iterator[Piece]:
        part = self._part(piece, start, end, cut)
        if part.size <= self._max or end - start < 2:
            yield part
            return
        point = halving_point(self._text, start, end)
        yield from self._fitting(piece, start, point, cut)
        yield from self._fitting(piece, point, end, _WORD)

    def _part(self, whole: Piece, start: int, end: int, cut: float) -> Piece:
        return Piece(start, end, self._size(self._text[start:end]), whole.path, cut)
