"""Markdown as a list of blocks that grows with its text; knows neither widgets nor widths.

A block is what is drawn at once: a paragraph, a heading, a piece of code, a table, one item of a list. While text comes
in, only what stands after the beginning of the last top-level block (or list item) is parsed again, so that a token
costs the same at the end of a long answer as at its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# Code is drawn in pieces of so many lines: a line that is added changes the last piece alone.
_CODE_LINES = 32
_LISTS = ("bullet_list_open", "ordered_list_open")


@dataclass(frozen=True, slots=True)
class Block:
    """`kind` is paragraph, h1 to h6, code, table or rule; `source` its text, one entry per table row for a table.

    `first` stands before its first line, `rest` before the others. `gap` asks for an empty line above it.
    """

    kind: str
    source: tuple[str, ...]
    first: str = ""
    rest: str = ""
    gap: bool = True
    info: str = ""  # language of code
    tokens: tuple[Token, ...] = field(default=(), compare=False, repr=False)


@dataclass(slots=True)
class Markdown:
    """A text that is parsed as it comes. Any way of cutting it into pieces gives the same blocks."""

    blocks: list[Block] = field(default_factory=list)
    _lines: list[str] = field(default_factory=lambda: [""])
    _base: int = 0  # line where the last unit begins
    _settled: int = 0  # blocks before it

    @property
    def source(self) -> str:
        return "\n".join(self._lines)

    def feed(self, text: str) -> int:
        """Add text; the index of the first block that changed, `len(blocks)` if none did."""
        head, *more = text.split("\n")
        self._lines[-1] += head
        self._lines += more
        units = list(_units(self._lines, self._base))
        fresh = [block for _, blocks in units for block in blocks]
        old = self.blocks[self._settled :]
        same = next(
            (index for index, (was, now) in enumerate(zip(old, fresh, strict=False)) if was != now),
            min(len(old), len(fresh)),
        )
        changed = self._settled + same
        self.blocks[changed:] = fresh[same:]
        if units:
            self._base = units[-1][0]
            self._settled = len(self.blocks) - len(units[-1][1])
        return changed if same < max(len(old), len(fresh)) else len(self.blocks)


def code_blocks(source: str) -> list[str]:
    """The content of every fence and indented block, in order."""
    return [token.content.rstrip("\n") for token in _parser().parse(source) if token.type in ("fence", "code_block")]


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").enable("strikethrough")


def _units(lines: list[str], base: int) -> Iterator[tuple[int, list[Block]]]:
    """(first line, blocks) of every top-level block from line `base` on; lists give one unit per item."""
    tokens = _parser().parse("\n".join(lines[base:]))
    index = 0
    while index < len(tokens):
        end = _closing(tokens, index)
        if tokens[index].type in _LISTS:
            inner = index + 1
            while inner < end:
                item_end = _closing(tokens, inner)
                yield _unit(lines, base, tokens[inner], [tokens[index], *tokens[inner : item_end + 1], tokens[end]])
                inner = item_end + 1
        else:
            yield _unit(lines, base, tokens[index], tokens[index : end + 1])
        index = end + 1


def _unit(lines: list[str], base: int, opening: Token, tokens: Sequence[Token]) -> tuple[int, list[Block]]:
    start = base + (opening.map[0] if opening.map else 0)
    return start, list(_Flattener(lines, base).blocks(tokens, "", ""))


def _closing(tokens: Sequence[Token], index: int) -> int:
    """Where the token at `index` is closed; itself, if it opens nothing."""
    depth = 0
    for position in range(index, len(tokens)):
        depth += tokens[position].nesting
        if depth <= 0:
            return position
    return len(tokens) - 1


@dataclass(slots=True)
class _Flattener:
    """Nested tokens as blocks that carry the marks of the lists and quotes around them."""

    lines: list[str]
    base: int

    def blocks(self, tokens: Sequence[Token], first: str, rest: str) -> Iterator[Block]:
        index = 0
        while index < len(tokens):
            token, end = tokens[index], _closing(tokens, index)
            inner = tokens[index + 1 : end]
            if token.type in _LISTS:
                yield from self._items(token, inner, first, rest)
            elif token.type == "blockquote_open":
                yield from self.blocks(inner, first + "▎ ", rest + "▎ ")
            else:
                yield from self._leaf(token, inner, first, rest)
            first = rest
            index = end + 1

    def _items(self, opening: Token, tokens: Sequence[Token], first: str, rest: str) -> Iterator[Block]:
        index = 0
        while index < len(tokens):
            end = _closing(tokens, index)
            mark = "• " if opening.type == "bullet_list_open" else f"{tokens[index].info}. "
            inner = list(self.blocks(tokens[index + 1 : end], first + mark, rest + " " * len(mark)))
            yield from inner or [Block("paragraph", ("",), first + mark, rest, self._gap(tokens[index]))]
            first = rest
            index = end + 1

    def _leaf(self, token: Token, inner: Sequence[Token], first: str, rest: str) -> Iterator[Block]:
        gap = self._gap(token)
        match token.type:
            case "heading_open" | "paragraph_open":
                kind = token.tag if token.type == "heading_open" else "paragraph"
                yield Block(kind, (inner[0].content,), first, rest, gap, tokens=(inner[0],))
            case "fence" | "code_block":
                yield from _code(token, first, rest, gap)
            case "table_open":
                cells = tuple(cell for cell in inner if cell.type in ("inline", "tr_open"))
                source = tuple("\n" if cell.type == "tr_open" else cell.content for cell in cells)
                yield Block("table", source, first, rest, gap, tokens=cells)
            case "hr":
                yield Block("rule", (), first, rest, gap)
            case "html_block":
                yield Block("paragraph", (token.content.rstrip("\n"),), first, rest, gap)
            case _:
                return

    def _gap(self, token: Token) -> bool:
        """Whether an empty line stands before the block. Not whether the list is loose, which its end may change."""
        line = self.base + (token.map[0] if token.map else 0)
        return line > 0 and not self.lines[line - 1].strip(" \t>")


def _code(token: Token, first: str, rest: str, gap: bool) -> Iterator[Block]:
    lines = token.content.rstrip("\n").split("\n")
    words = token.info.split()
    for start in range(0, len(lines), _CODE_LINES):
        piece = "\n".join(lines[start : start + _CODE_LINES])
        yield Block("code", (piece,), first, rest, gap and not start, words[0] if words else "")
        first = rest


def inline_tokens(block: Block) -> list[Any]:
    """The inline tokens of a paragraph or heading."""
    return list(block.tokens[0].children or ()) if block.tokens else []
