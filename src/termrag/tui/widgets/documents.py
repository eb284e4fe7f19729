"""The library as a table that draws only the lines in view, so that its length costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from termrag.tui.ingesting import FileState
from termrag.tui.listing import Row, day_text, falls, fitted, size_text

_SIGNS = {
    FileState.READY: ("✓", "$text-success"),
    FileState.EMBEDDING: ("◐", "$text-accent"),
    FileState.READING: ("◔", "$text-accent"),
    FileState.QUEUED: ("…", "$foreground 65%"),
    FileState.FAILED: ("✗", "$text-error"),
    FileState.SKIPPED: ("-", "$foreground 65%"),
    FileState.CANCELLED: ("-", "$foreground 65%"),
}
_OTHER = ("!", "$text-warning")


class Column(NamedTuple):
    """`width` cells; 0 shares what is left. Shown where the table is at least `from_width` cells wide."""

    name: str
    width: int
    from_width: int
    to_right: bool = False


_COLUMNS = (
    Column("name", 0, 0),
    Column("type", 8, 70),
    Column("size", 8, 50, to_right=True),
    Column("chunks", 7, 70, to_right=True),
    Column("state", 11, 40),
    Column("modified", 10, 90),
    Column("folder", 0, 110),
)


class DocumentTable(ScrollView, can_focus=True):
    """Rows with a cursor, some of them marked. The first line of the widget names the columns."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Preview", id="documents.preview"),
        Binding("space", "mark", "Select", id="documents.mark"),
        Binding("up,k", "move(-1)", "Up", id="documents.up", show=False),
        Binding("down,j", "move(1)", "Down", id="documents.down", show=False),
        Binding("shift+up", "stretch(-1)", "Select upwards", id="documents.stretch_up", show=False),
        Binding("shift+down", "stretch(1)", "Select downwards", id="documents.stretch_down", show=False),
        Binding("pageup", "turn(-1)", "Page up", id="documents.page_up", show=False),
        Binding("pagedown", "turn(1)", "Page down", id="documents.page_down", show=False),
        Binding("home,g", "move(-1000000000)", "First", id="documents.first", show=False),
        Binding("end,G", "move(1000000000)", "Last", id="documents.last", show=False),
        Binding("asterisk", "mark_all", "Select all or none", id="documents.mark_all", show=False),
    ]

    class Moved(Message):
        """Another row has the cursor, or none."""

    class Marked(Message):
        """Other rows are marked."""

    class Opened(Message):
        """The row under the cursor is to be shown."""

        def __init__(self, row: Row) -> None:
            super().__init__()
            self.row = row

    class Sorted(Message):
        """The rows are to be sorted by another column."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.rows: list[Row] = []
        self.cursor = 0
        self.marked: set[str] = set()
        self.sort, self.reverse = "name", False
        self.nothing: tuple[str, ...] = ("looking into the library",)  # shown where there are no rows
        self._styles: dict[str, RichStyle] = {}
        self._widths: list[tuple[Column, int]] = []

    # --- rows ----------------------------------------------------------------------------------------------------

    @property
    def current(self) -> Row | None:
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    @property
    def chosen(self) -> list[Row]:
        """The marked rows in view of the filter; where none is, the one under the cursor."""
        marked = [row for row in self.rows if row.path in self.marked]
        return marked or ([self.current] if self.current is not None else [])

    def show(self, rows: Sequence[Row], *, keep: bool = True) -> None:
        """Show other rows; with `keep` the cursor stays with its document, else it goes to the first."""
        before = self.current.path if keep and self.current is not None else None
        offset = self.cursor - self.scroll_offset.y
        self.rows = list(rows)
        found = next((i for i, row in enumerate(rows) if row.path == before), None) if before is not None else None
        fallback = min(self.cursor, len(rows) - 1) if keep else 0
        self.cursor = max(found if found is not None else fallback, 0)
        if self.virtual_size.height != len(self.rows) + 1:
            self.virtual_size = Size(self.size.width, len(self.rows) + 1)
        if found is not None:
            self._put_top(self.cursor - offset)
        self._into_view()
        self.refresh()
        self.post_message(self.Moved())

    def forget_marks(self) -> None:
        """Mark nothing."""
        if self.marked:
            self.marked.clear()
            self.refresh()
            self.post_message(self.Marked())

    # --- moving and marking --------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """The row above or below."""
        if self.rows:
            self.cursor = min(max(self.cursor + by, 0), len(self.rows) - 1)
            self._into_view()
            self.refresh()
            self.post_message(self.Moved())

    def action_turn(self, pages: int) -> None:
        """A page up or down."""
        self.action_move(pages * max(self.size.height - 2, 1))

    def action_open(self) -> None:
        """Show what is in it."""
        if self.current is not None:
            self.post_message(self.Opened(self.current))

    def action_mark(self) -> None:
        """Select or let go, and on to the next."""
        if self.current is not None:
            self.marked ^= {self.current.path}
            self.action_move(1)
            self.post_message(self.Marked())

    def action_stretch(self, by: int) -> None:
        """Select this one and the next."""
        for _ in range(2):
            if self.current is not None:
                self.marked.add(self.current.path)
            if by:
                self.action_move(by)
            by = 0
        self.post_message(self.Marked())

    def action_mark_all(self) -> None:
        """Select all that are shown, or none."""
        paths = {row.path for row in self.rows}
        self.marked = self.marked - paths if paths <= self.marked else self.marked | paths
        self.refresh()
        self.post_message(self.Marked())

    def _into_view(self) -> None:
        height = max(self.size.height - 1, 1)
        top = self.scroll_offset.y
        if self.cursor < top:
            self._put_top(self.cursor)
        elif self.cursor >= top + height:
            self._put_top(self.cursor - height + 1)

    def _put_top(self, y: int) -> None:
        self.scroll_to(y=max(y, 0), animate=False, immediate=True, force=True)

    # --- the mouse -----------------------------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        self.focus()
        if event.y == 0:
            column = self._column_at(event.x)
            if column:
                self.post_message(self.Sorted(column))
            return
        index = self.scroll_offset.y + event.y - 1
        if index < len(self.rows):
            self.action_move(index - self.cursor)
            if event.x < 4:
                self.marked ^= {self.rows[index].path}
                self.post_message(self.Marked())
            elif event.chain == 2:
                self.action_open()

    def _column_at(self, x: int) -> str:
        at = 4
        for column, width in self._columns():
            if x < at + width + 1:
                return column.name
            at += width + 1
        return ""

    # --- drawing -------------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        self._widths = []
        self.virtual_size = Size(self.size.width, len(self.rows) + 1)
        self._into_view()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    def refresh_row(self, index: int) -> None:
        """Draw one row again."""
        self.refresh(Region(0, index - self.scroll_offset.y + 1, self.size.width, 1))

    def _columns(self) -> list[tuple[Column, int]]:
        if not self._widths:
            width = self.size.width
            columns = [each for each in _COLUMNS if width >= each.from_width]
            sharing = sum(not each.width for each in columns)
            left = width - 5 - sum(each.width + 1 for each in columns if each.width) - (sharing - 1)
            share = max(left // max(sharing, 1), 4)
            widths = [each.width or share for each in columns]
            widths[0] += max(left - share * sharing, 0)
            self._widths = list(zip(columns, widths, strict=True))
        return self._widths

    def _style(self, style: str) -> RichStyle:
        if style not in self._styles:
            self._styles[style] = (self.visual_style + Style.parse(style)).rich_style if style else self.rich_style
        return self._styles[style]

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y == 0:
            return Strip(self._header()).adjust_cell_length(width, self._style("bold on $surface"))
        index = self.scroll_offset.y + y - 1
        base = self._style("")
        if index < len(self.rows):
            is_current = index == self.cursor
            ground = (" on $primary 35%" if self.has_focus else " on $panel") if is_current else ""
            return Strip(self._cells(self.rows[index], ground)).adjust_cell_length(width, self._style(ground.strip()))
        if not self.rows and 2 <= y < 2 + len(self.nothing):
            text = fitted("  " + self.nothing[y - 2], width)
            return Strip([Segment(text, self._style("$foreground 75%"))]).adjust_cell_length(width, base)
        return Strip.blank(width, base)

    def _header(self) -> list[Segment]:
        style = self._style("bold on $surface")
        segments = [Segment("    ", style)]
        for column, width in self._columns():
            arrow = (" ↓" if falls(self.sort, reverse=self.reverse) else " ↑") if column.name == self.sort else ""
            text = fitted(column.name + arrow, width)
            segments.append(Segment((text.strip().rjust(width) if column.to_right else text) + " ", style))
        return segments

    def _cells(self, row: Row, ground: str) -> list[Segment]:
        sign, colour = _SIGNS.get(row.state, _OTHER)  # type: ignore[call-overload]
        if row.state == FileState.READY and row.reason:
            sign, colour = _OTHER
        plain, faint = self._style(ground.strip()), self._style("$foreground 65%" + ground)
        is_marked = row.path in self.marked
        mark = Segment("▌ " if is_marked else "  ", self._style("bold $text-primary" + ground))
        segments = [mark, Segment(f"{sign} ", self._style(colour + ground))]
        for column, width in self._columns():
            match column.name:
                case "name":
                    style = self._style("bold" + ground) if is_marked else plain
                    segments.append(Segment(fitted(row.name, width, cut="name"), style))
                case "folder":
                    segments.append(Segment(fitted(row.folder, width, cut="start"), faint))
                case "state":
                    segments.append(Segment(fitted(row.state, width), self._style(colour + ground)))
                case name:
                    text = _text_of(row, name)
                    segments.append(Segment(text.rjust(width) if column.to_right else fitted(text, width), faint))
            segments.append(Segment(" ", plain))
        return segments


def _text_of(row: Row, column: str) -> str:
    match column:
        case "type":
            return row.type
        case "size":
            return size_text(row.size)
        case "chunks":
            return f"{row.chunks:,}" if row.chunks else ""
        case _:
            return day_text(row.modified_ns)
