"""A content as a row of blocks: what belongs together, under which headings, and what a cut would cost there.

Blocks tile the text: each ends where the next begins. Costs are in units of one chunk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from termrag.chunking.headings import plain_heading
from termrag.records import Content

AFTER_HEADING = 3.0  # what a heading names must not be parted from it
SECTION = 0.8
PARAGRAPH = 0.0
ITEM = 0.04
ROW = 0.1
FENCED_LINE = 0.5

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?[ \t]*#*[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r"[ \t]*(```+|~~~+)")
_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,4}[.)])[ \t]+\S")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-{1,}:?[ \t]*(?:\|[ \t]*:?-{1,}:?[ \t]*)*\|?[ \t]*$")
_MARKED_HEADINGS = {
    "org": re.compile(r"(\*{1,8})[ \t]+(.+?)(?:[ \t]+:[\w:]+:)?[ \t]*$"),
    "asciidoc": re.compile(r"(={1,6})[ \t]+(.+?)[ \t]*$"),
    "tex": re.compile(r"[ \t]*\\(part|chapter|section|subsection|subsubsection|paragraph)\*?\{(.+?)\}"),
}
_TEX_LEVELS = {"part": 1, "chapter": 2, "section": 3, "subsection": 4, "subsubsection": 5, "paragraph": 6}
_RST_RULE = re.compile(r"([=\-`:'\"~^_*+#<>.!$%&,/;?@\\|])\1{2,}[ \t]*$")

Line = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Block:
    """`cut`: cost of beginning a chunk here. `span`: cost of not doing so. `grain`: how it may be cut further:
    prose by sentences, lines and a fence by lines, but whole, a fence and a row never if they fit. `header`: the table
    head to repeat in front of a chunk that begins here. `page_break`: a chunk must begin here."""

    start: int
    path: tuple[str, ...] = ()
    cut: float = PARAGRAPH
    span: float = 0.0
    grain: str = "prose"
    header: Line | None = None
    page_break: bool = False


def outline(content: Content) -> Iterator[Block]:
    """The blocks of a content in order."""
    if content.kind == "code":
        from termrag.chunking.definitions import code_blocks

        return code_blocks(content.text, content.syntax)
    if content.kind == "table":
        return _record_blocks(content.text, quoted=content.syntax != "tsv")
    if content.kind == "markdown":
        return _markdown_blocks(content.text)
    return _text_blocks(content.text, content.syntax)


def lines_of(text: str) -> Iterator[Line]:
    """(start, end) of every line, without its line end."""
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield start, end
        start = end + 1


class Headings:
    """The path of headings above a place."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []

    def enter(self, level: int, title: str) -> None:
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        if title:
            self._open.append((level, title))

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(title for _, title in self._open)


# --- Markdown ----------------------------------------------------------------------------------------------------


def _markdown_blocks(text: str) -> Iterator[Block]:
    headings = Headings()
    lines = list(lines_of(text))
    index = _front_matter_end(text, lines)
    if index:
        yield Block(0, grain="lines")
    after_heading = False
    while index < len(lines):
        start, end = lines[index]
        line = text[start:end]
        if not line.strip():
            index += 1
            continue
        level, title, used = _markdown_heading(text, lines, index)
        if level:
            headings.enter(level, plain_heading(title))
            yield Block(start, headings.path, AFTER_HEADING if after_heading else PARAGRAPH, SECTION, "whole")
            after_heading, index = True, index + used
            continue
        stop, blocks = _markdown_body(text, lines, index, headings.path)
        for number, block in enumerate(blocks):
            yield _with_cut(block, AFTER_HEADING) if after_heading and number == 0 else block
        after_heading, index = False, stop


def _markdown_heading(text: str, lines: list[Line], index: int) -> tuple[int, str, int]:
    """(level, title, lines used); level 0 for what is no heading."""
    line = text[slice(*lines[index])]
    if found := _ATX.match(line):
        return len(found.group(1)), found.group(2) or "", 1
    if index + 1 < len(lines) and "|" not in line and not _LIST_ITEM.match(line) and not _FENCE.match(line):
        rule = _SETEXT.match(text[slice(*lines[index + 1])])
        if rule and not _SETEXT.match(line):
            return (1 if rule.group(1)[0] == "=" else 2), line, 2
    return 0, "", 0


def _markdown_body(text: str, lines: list[Line], index: int, path: tuple[str, ...]) -> tuple[int, list[Block]]:
    """One fence, table, list item or paragraph from line `index` on; the line after it."""
    start, end = lines[index]
    line = text[start:end]
    if fence := _FENCE.match(line):
        stop = _fence_end(text, lines, index, fence.group(1))
        return stop, [Block(start, path, grain="fence")]
    rule = text[slice(*lines[index + 1])] if index + 1 < len(lines) else ""
    if "|" in line and "|" in rule and "-" in rule and _TABLE_RULE.match(rule):
        return _table(text, lines, index, path)
    stop = index + 1
    while stop < len(lines) and _continues(text, lines, stop):
        stop += 1
    is_item = _LIST_ITEM.match(line)
    return stop, [Block(start, path, ITEM if is_item else PARAGRAPH)]


def _continues(text: str, lines: list[Line], index: int) -> bool:
    """Whether a line goes on with the paragraph above it."""
    line = text[slice(*lines[index])]
    if not line.strip() or _LIST_ITEM.match(line) or _FENCE.match(line) or _ATX.match(line):
        return False
    return not line.lstrip().startswith("|")


def _table(text: str, lines: list[Line], index: int, path: tuple[str, ...]) -> tuple[int, list[Block]]:
    stop = index + 2
    while stop < len(lines) and "|" in text[slice(*lines[stop])]:
        stop += 1
    header = (lines[index][0], lines[index + 1][1])
    first = Block(lines[index][0], path, grain="row")
    rows = [Block(lines[row][0], path, ROW, grain="row", header=header) for row in range(index + 3, stop)]
    return stop, [first, *rows]


def _fence_end(text: str, lines: list[Line], index: int, mark: str) -> int:
    for stop in range(index + 1, len(lines)):
        if text[slice(*lines[stop])].strip().startswith(mark):
            return stop + 1
    return len(lines)


def _front_matter_end(text: str, lines: list[Line]) -> int:
    if not text.startswith("---\n"):
        return 0
    for index in range(1, min(len(lines), 200)):
        if text[slice(*lines[index])].rstrip() in ("---", "..."):
            return index + 1
    return 0


def _with_cut(block: Block, cut: float) -> Block:
    return Block(block.start, block.path, cut, block.span, block.grain, block.header)


# --- plain text ----------------------------------------------------------------------------------------------------


def _text_blocks(text: str, syntax: str) -> Iterator[Block]:
    """Paragraphs between blank lines, under the headings of the syntax, if it has any."""
    headings = Headings()
    rst_levels: list[str] = []
    previous, after_heading, fresh = "", False, True
    previous_start = 0
    for start, end in lines_of(text):
        line = text[start:end]
        if not line.strip():
            fresh, previous = True, ""
            continue
        if marked := _MARKED_HEADINGS.get(syntax):
            if found := marked.match(line):
                level = _TEX_LEVELS.get(found.group(1), len(found.group(1)))
                headings.enter(level, plain_heading(found.group(2)))
                yield Block(start, headings.path, AFTER_HEADING if after_heading else PARAGRAPH, SECTION, "whole")
                after_heading, fresh, previous = True, True, ""
                continue
        elif syntax == "rst" and previous and _RST_RULE.match(line) and len(line.rstrip()) >= len(previous.rstrip()):
            if line[0] not in rst_levels:
                rst_levels.append(line[0])
            headings.enter(rst_levels.index(line[0]) + 1, plain_heading(previous))
            yield Block(previous_start, headings.path, PARAGRAPH, SECTION, "whole")
            after_heading, fresh, previous = True, True, ""
            continue
        if syntax == "rst" and fresh:
            if _is_rst_title(text, start, end):
                previous, previous_start, fresh = line, start, False
                continue
            if _RST_RULE.match(line):  # a line over a title; it goes with the section above
                yield Block(start, headings.path, PARAGRAPH, 0.0, "whole")
                continue
        if fresh:
            yield Block(start, headings.path, AFTER_HEADING if after_heading else PARAGRAPH)
            after_heading, fresh = False, False
        previous, previous_start = line, start


def _is_rst_title(text: str, start: int, end: int) -> bool:
    """Whether the line below is a rule at least as long as this one."""
    stop = text.find("\n", end + 1)
    below = text[end + 1 : stop if stop >= 0 else len(text)]
    return bool(_RST_RULE.match(below)) and len(below.rstrip()) >= len(text[start:end].rstrip())


# --- records of a table -------------------------------------------------------------------------------------------


def _record_blocks(text: str, *, quoted: bool) -> Iterator[Block]:
    """One block per record of a CSV file; a quoted field may hold line ends. The first record heads the others."""
    header: Line | None = None
    record_start, quotes = 0, 0
    for start, end in lines_of(text):
        if quotes % 2 == 0:
            record_start, quotes = start, 0
        quotes += text.count('"', start, end) if quoted else 0
        if quotes % 2 and end - record_start < 10_000:
            continue
        quotes = 0
        if header is None:
            if text[record_start:end].strip():
                header = (record_start, end)
                yield Block(record_start, grain="row")
        elif text[record_start:end].strip():
            yield Block(record_start, cut=ROW, grain="row", header=header)
    if quotes % 2:
        yield Block(record_start, cut=ROW, grain="row", header=header)
