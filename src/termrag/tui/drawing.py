"""Blocks, drawn as lines of a given width in the styles of a theme; knows nothing of messages or scrolling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from textual.content import Content, Span
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions

from termrag.tui.markdown import Block, inline_tokens

if TYPE_CHECKING:
    from markdown_it.token import Token

_MARKS = {"strong_open": "bold", "em_open": "italic", "s_open": "strike"}
_FAINT = "$foreground 40%"
_NARROWEST = 3  # cells of a table's column


@dataclass(frozen=True, slots=True)
class Line:
    """One drawn line. `text` is what selecting it copies; `joins` says that it continues the line above."""

    strip: Strip
    text: str
    joins: bool = False


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where lines are drawn: `width` cells, `margin` of them empty on the left. Lines of one canvas may be kept.
    `key_of` tells the key of an action by its id."""

    width: int
    margin: int
    base: Style
    get_style: Callable[[str | Style], Style]
    key_of: Callable[[str], str] = field(default=str, compare=False)

    def draw(
        self,
        content: Content,
        *,
        first: str = "",
        rest: str | None = None,
        style: str = "",
        prefix_style: str = "$text-primary",
        fill: bool = False,
        nowrap: bool = False,
    ) -> list[Line]:
        """Lines of a content, `first` before the first and `rest` before the others; `fill` colours whole lines."""
        rest = first if rest is None else rest
        indent = max(cell_len(first), cell_len(rest))
        width = max(self.width - indent, 1)
        visual = self.base + self.get_style(style) if style else self.base
        options = RenderOptions(self.get_style, {"text_wrap": "nowrap"} if nowrap else {})
        strips = content.render_strips(width, None, visual, options)
        whole = visual.rich_style
        ends = self._line_starts(content, width, nowrap)
        lines = []
        for number, strip in enumerate(strips):
            before = (first if number == 0 else rest).ljust(indent) if indent else ""
            segments = [Segment(" " * self.margin, self.base.rich_style)] if self.margin else []
            if before:
                segments.append(Segment(before, (visual + self.get_style(prefix_style)).rich_style))
            body = strip.extend_cell_length(width, whole) if fill else strip
            joins = number not in ends
            lines.append(Line(Strip([*segments, *body]), ("" if joins else before) + strip.text.rstrip(), joins))
        return lines

    def blank(self) -> Line:
        return Line(Strip([]), "")

    def _line_starts(self, content: Content, width: int, nowrap: bool) -> set[int]:
        """Numbers of the drawn lines that begin a line of the text, rather than continue one."""
        starts, number = set(), 0
        for line in content.split("\n", allow_blank=True):
            starts.add(number)
            number += 1 if nowrap else len(line.wrap(width)) or 1
        return starts


def draw_block(block: Block, canvas: Canvas, link: Callable[[str], str]) -> list[Line]:
    """Lines of a block. `link` turns the target of a link into the action of a click."""
    lines = [canvas.blank()] if block.gap else []
    match block.kind:
        case "code":
            return lines + _code(block, canvas)
        case "table":
            width = max(canvas.width - cell_len(block.first), 8)
            content = table(block.tokens, width, link)
            return lines + canvas.draw(content, first=block.first, rest=block.rest, nowrap=True)
        case "rule":
            return lines + canvas.draw(Content.styled("─" * min(canvas.width, 24), _FAINT), first=block.first)
        case "paragraph":
            content = inline(inline_tokens(block), link) if block.tokens else Content(block.source[0])
            return lines + canvas.draw(content, first=block.first, rest=block.rest)
        case _:
            content = inline(inline_tokens(block), link)
            style = "bold underline $text-primary" if block.kind == "h1" else "bold $text-primary"
            return lines + canvas.draw(content.stylize(style), first=block.first, rest=block.rest)


def _code(block: Block, canvas: Canvas) -> list[Line]:
    content = highlighted(block.source[0], block.info)
    lines = canvas.draw(content, first=block.first + "▏", rest=block.rest + "▏", style="on $foreground 6%", fill=True)
    return [Line(line.strip, line.text.removeprefix(block.first).removeprefix("▏"), line.joins) for line in lines]


def highlighted(code: str, language: str) -> Content:
    """Code in colours; plain where no lexer goes by that name."""
    if not language:
        return Content(code)
    from textual.highlight import highlight

    return highlight(code, language=language)


def inline(tokens: Sequence[Token], link: Callable[[str], str]) -> Content:
    """Inline tokens as styled text. A link to `cite:n` is the mark of a citation; an image is only named."""
    text: list[str] = []
    spans: list[Span] = []
    opened: list[tuple[int, str | Style]] = []
    position = 0

    def add(piece: str, style: str | Style = "") -> None:
        nonlocal position
        text.append(piece)
        if style:
            spans.append(Span(position, position + len(piece), style))
        position += len(piece)

    target = ""
    for token in tokens:
        match token.type:
            case "softbreak":
                add(" ")
            case "hardbreak":
                add("\n")
            case "code_inline":
                add(token.content, "$text-accent on $foreground 8%")
            case "image":
                add(f"[image: {token.content or token.attrGet('src')}]", _FAINT)
            case "link_open":
                target = str(token.attrGet("href") or "")
                opened.append((position, _link_style(target, link)))
                add("[" if target.startswith("cite:") else "")
            case _ if token.nesting == 1:
                opened.append((position, _MARKS.get(token.type, "")))
            case _ if token.nesting == -1 and opened:
                add("]" if token.type == "link_close" and target.startswith("cite:") else "")
                start, style = opened.pop()
                if style and position > start:
                    spans.append(Span(start, position, style))
            case _:
                add(token.content)
    return Content("".join(text), spans)


def _link_style(target: str, link: Callable[[str], str]) -> Style | str:
    if target == "cite:?":
        return "bold $text-warning"
    look = "bold $text-accent" if target.startswith("cite:") else "underline $text-primary"
    return Style.parse(look) + Style.from_meta({"@click": link(target)})


def table(tokens: Sequence[Token], width: int, link: Callable[[str], str]) -> Content:
    """A table that fits: columns are narrowed, widest first, and their cells wrapped."""
    rows: list[list[Content]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif rows:
            rows[-1].append(inline(token.children or [], link))
    columns = max(map(len, rows), default=0)
    if not columns:
        return Content("")
    widths = _widths(rows, columns, width)
    bar = Content.styled(" │ ", _FAINT)
    lines: list[Content] = []
    for number, row in enumerate(rows):
        lines += [bar.join(cells) for cells in _wrapped(row, widths, bold=number == 0)]
        if number == 0:
            lines.append(Content.styled("─┼─".join("─" * each for each in widths), _FAINT))
    return Content("\n").join(lines)


def _widths(rows: list[list[Content]], columns: int, width: int) -> list[int]:
    widths = [
        max((row[column].cell_length for row in rows if column < len(row)), default=0) or 1 for column in range(columns)
    ]
    over = sum(widths) + 3 * (columns - 1) - width
    while over > 0 and max(widths) > _NARROWEST:
        widest = widths.index(max(widths))
        widths[widest] -= 1
        over -= 1
    return widths


def _wrapped(row: list[Content], widths: list[int], *, bold: bool) -> list[list[Content]]:
    """The lines of one row, each a list of cells padded to their columns."""
    cells = [row[column].wrap(width) if column < len(row) else [] for column, width in enumerate(widths)]
    lines = []
    for number in range(max(map(len, cells), default=1) or 1):
        line = []
        for wrapped, width in zip(cells, widths, strict=True):
            cell = wrapped[number].rstrip() if number < len(wrapped) else Content("")
            cell = cell.pad_right(max(width - cell.cell_length, 0))
            line.append(cell.stylize("bold") if bold else cell)
        lines.append(line)
    return lines
