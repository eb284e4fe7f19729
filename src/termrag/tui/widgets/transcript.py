"""The conversation as one scrolled picture: draws only the lines in view, follows its end until the user scrolls away.

Entries are drawn from the newest on, older ones as the user comes near them, so that a long conversation opens at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from termrag.tui.drawing import Canvas, Line
from termrag.tui.entries import Entry, Question, Reply

_MARGIN = 2
_PAINTED = 4000  # lines that are kept as painted
_AHEAD = 12  # entries that are drawn at once above those in view


class Transcript(ScrollView, can_focus=True):
    """A list of entries, the last at the bottom. One of them may be current: keys act on it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Message above", id="transcript.up", show=False),
        Binding("down,j", "move(1)", "Message below", id="transcript.down", show=False),
        Binding("pageup", "page_up", "Scroll up", id="transcript.page_up", show=False),
        Binding("pagedown", "page_down", "Scroll down", id="transcript.page_down", show=False),
        Binding("home", "first", "First message", id="transcript.first", show=False),
        Binding("end", "follow", "Last message", id="transcript.last", show=False),
        Binding("y", "screen.copy_message", "Copy", id="message.copy"),
        Binding("c", "screen.copy_code", "Copy code", id="message.copy_code"),
        Binding("q", "screen.copy_citation", "Copy quote", id="message.copy_citation"),
        Binding("r", "screen.regenerate", "Ask again", id="message.regenerate"),
        Binding("o", "screen.other_sources", "Other sources", id="message.other_sources"),
        Binding("e", "screen.edit", "Edit", id="message.edit"),
        Binding("i", "screen.details", "Details", id="message.details"),
        Binding("g", "screen.without_documents", "Without documents", id="message.general", show=False),
        Binding("left_square_bracket", "screen.branch(-1)", "Version before", id="message.branch_before", show=False),
        Binding("right_square_bracket", "screen.branch(1)", "Version after", id="message.branch_after", show=False),
        *(
            Binding(str(n), f"screen.open_citation({n})", f"Open source {n}", id=f"message.open_{n}", show=False)
            for n in range(1, 10)
        ),
    ]

    class Moved(Message):
        """Another entry is current, or none."""

        def __init__(self, entry: Entry | None) -> None:
            super().__init__()
            self.entry = entry

    class Behind(Message):
        """The user has scrolled away from the end (`lines` below the view), or is back at it (0)."""

        def __init__(self, lines: int) -> None:
            super().__init__()
            self.lines = lines

    def __init__(self, *, reading_width: int = 110, key_of: Callable[[str], str] = str, **options: Any) -> None:
        """`key_of` tells the key of an action by its id."""
        super().__init__(**options)
        self._key_of = key_of
        self.entries: list[Entry] = []
        self.current: Entry | None = None
        self.following = True
        self._reading_width = reading_width
        self._drawn_from = 0  # entries before it are not drawn yet
        self._starts: list[int] = []  # first line of each drawn entry
        self._total = 0
        self._canvas: Canvas | None = None
        self._behind = 0
        self._rising = False
        self._painted: dict[int, Strip] = {}  # lines as they were last painted

    # --- what is shown -------------------------------------------------------------------------------------------

    def show(self, entries: Sequence[Entry]) -> None:
        """Show these entries in place of all others, from their end."""
        self.entries = list(entries)
        self._drawn_from = max(len(self.entries) - _AHEAD, 0)
        self.following = True
        self._set_current(None)
        self._measure(0)

    def add(self, *entries: Entry) -> None:
        """Show more entries below."""
        first = len(self.entries)
        self.entries += entries
        self._measure(first)

    def remove_entries(self, entries: Sequence[Entry]) -> None:
        gone = set(map(id, entries))
        if self.current is not None and id(self.current) in gone:
            self._set_current(None)
        self.entries = [entry for entry in self.entries if id(entry) not in gone]
        self._drawn_from = min(self._drawn_from, len(self.entries))
        self._measure(0)

    def changed(self, entry: Entry, line: int = 0) -> None:
        """An entry's lines are others from the given one on."""
        index = next((i for i in range(len(self.entries) - 1, -1, -1) if self.entries[i] is entry), None)
        if index is not None:
            self._measure(index, line)

    def redraw(self) -> None:
        """Everything anew: the theme or the width has changed."""
        self._canvas = None
        self._painted.clear()
        self._measure(0)

    def set_reading_width(self, cells: int) -> None:
        """Draw lines of at most so many cells."""
        if cells != self._reading_width:
            self._reading_width = cells
            self.redraw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self.is_mounted:
            self.redraw()

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        """Draw for the size that is."""
        if self._canvas is None or self._canvas.width != self._width():
            self.redraw()
        elif self.following:
            self._scroll_to_end()

    def render_lines(self, crop: Region) -> list[Strip]:
        # A widget that appears beside this one may change its width without a Resize.
        if self._canvas is not None and self._canvas.width != self._width():
            self.call_later(self._fit)
        if len(self._painted) > _PAINTED:
            self._painted.clear()
        return super().render_lines(crop)

    # --- measuring -----------------------------------------------------------------------------------------------

    def _width(self) -> int:
        return max(min(self.size.width - 2 * _MARGIN, self._reading_width), 10)

    def _sheet(self) -> Canvas:
        if self._canvas is None:
            self._canvas = Canvas(self._width(), _MARGIN, self.visual_style, self._style, self._key_of)
        return self._canvas

    def _style(self, style: str | Style) -> Style:
        return style if isinstance(style, Style) else Style.parse(style)

    def _measure(self, entry_index: int, line: int = 0) -> None:
        """Count lines anew from an entry on, and repaint what is in view of them."""
        if not self.size.width:
            return
        while self._drawn_from and self._needs_more():
            self._drawn_from = max(self._drawn_from - _AHEAD, 0)
            entry_index = 0
        first = max(entry_index - self._drawn_from, 0)
        top = self._starts[first] if first < len(self._starts) else self._total
        if first == 0:
            top = 0
        del self._starts[first:]
        total = top
        for entry in self.entries[self._drawn_from + first :]:
            self._starts.append(total)
            total += len(entry.lines(self._sheet()))
        self._total = total
        self._set_height(total)
        if self.following:
            self._scroll_to_end()
        self._repaint(top + line if entry_index >= self._drawn_from else 0)
        self._tell_behind()

    def _set_height(self, lines: int) -> None:
        # Assigned as usual, it would lay the whole screen out anew for every line of an answer.
        self.set_reactive(Widget.virtual_size, Size(self.size.width, lines))
        self.vertical_scrollbar.window_virtual_size = lines
        self.scroll_y = self.validate_scroll_y(self.scroll_y)

    def _needs_more(self) -> bool:
        """Whether what is drawn does not fill two heights."""
        lines = 0
        for entry in reversed(self.entries[self._drawn_from :]):
            lines += len(entry.lines(self._sheet()))
            if lines >= 2 * self.size.height:
                return False
        return True

    def _repaint(self, first: int) -> None:
        """Paint what is in view again from a line on."""
        if first:
            for row in [row for row in self._painted if row >= first]:
                del self._painted[row]
        else:
            self._painted.clear()
        top = max(first - self.scroll_offset.y, 0)
        if top < self.size.height:
            self.refresh(Region(0, top, self.size.width, self.size.height - top))

    def _draw_older(self) -> None:
        """Draw entries above those that are, and keep what is in view where it is."""
        before = self._total
        self._drawn_from = max(self._drawn_from - _AHEAD, 0)
        self._starts = []
        self._measure(0)
        self.scroll_to(y=self.scroll_y + self._total - before)

    # --- scrolling -----------------------------------------------------------------------------------------------

    def scroll_to(self, x: float | None = None, y: float | None = None, **options: Any) -> None:
        # At once: text that arrives while a movement is on its way would end it where it began.
        super().scroll_to(x, y, **{**options, "animate": False, "immediate": True, "force": True})

    def _scroll_to_end(self) -> None:
        self.scroll_to(y=self.max_scroll_y)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if round(new_value) >= self.max_scroll_y:
            self.following = True
        elif new_value < old_value:
            self.following = False
        if self._drawn_from and new_value < self.size.height:
            self.call_later(self._near_top)
        self._tell_behind()

    def _near_top(self) -> None:
        if self._drawn_from and self.scroll_y < self.size.height and not self._rising:
            self._draw_older()

    def action_first(self) -> None:
        """Up to the first message; those before what is drawn come a few at a time, so that keys still work."""
        self.following = False
        self._rising = True
        self.scroll_to(y=0)
        self._rise()

    def _rise(self) -> None:
        # Ends at the first message, or where the user scrolls elsewhere meanwhile.
        self._rising = bool(self._drawn_from) and not round(self.scroll_y)
        if self._rising:
            self._draw_older()
            self.scroll_to(y=0)
            self.set_timer(0.01, self._rise)

    def _tell_behind(self) -> None:
        behind = 0 if self.following else max(round(self.max_scroll_y - self.scroll_y), 0)
        if behind != self._behind:
            self._behind = behind
            self.post_message(self.Behind(behind))

    def action_follow(self) -> None:
        """Back to the end."""
        self.following = True
        self._set_current(None)
        self._scroll_to_end()
        self._tell_behind()

    # --- the current entry ---------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Make the message above or below the current one."""
        movable: list[Entry] = [entry for entry in self.entries if isinstance(entry, Question | Reply)]
        if not movable:
            return
        if self.current is None:
            index = len(movable) - 1 if by < 0 else 0
        else:
            index = min(max(movable.index(self.current) + by, 0), len(movable) - 1)
        self.make_current(movable[index])

    def make_current(self, entry: Entry) -> None:
        """Let keys act on an entry, and bring it into view."""
        self._set_current(entry)
        while self._drawn_from > self.entries.index(entry):
            self._draw_older()
        start = self._starts[self.entries.index(entry) - self._drawn_from]
        height = len(entry.lines(self._sheet()))
        if start < self.scroll_y or start + height > self.scroll_y + self.size.height:
            top = start if height >= self.size.height or start < self.scroll_y else start + height - self.size.height
            self.following = False
            self.scroll_to(y=top)

    def _set_current(self, entry: Entry | None) -> None:
        if entry is self.current:
            return
        for each, is_current in ((self.current, False), (entry, True)):
            if each is not None:
                each.is_current = is_current
                each.forget()
                self.changed(each)
        self.current = entry
        self.post_message(self.Moved(entry))

    # --- painting ------------------------------------------------------------------------------------------------

    def line_at(self, y: int) -> Line | None:
        """The line at a height of the whole picture; None below its end."""
        if not 0 <= y < self._total:
            return None
        index = bisect_right(self._starts, y) - 1
        entry = self.entries[self._drawn_from + index]
        lines = entry.lines(self._sheet())
        offset = y - self._starts[index]
        return lines[offset] if offset < len(lines) else None

    def render_line(self, y: int) -> Strip:
        row = self.scroll_offset.y + y
        strip = self._painted.get(row)
        if strip is None:
            strip = self._painted[row] = self._paint(row)
        return strip

    def _paint(self, row: int) -> Strip:
        line = self.line_at(row)
        base = self._sheet().base.rich_style
        if line is None:
            return Strip.blank(self.size.width, base)
        strip = line.strip
        if (selection := self.text_selection) is not None and (span := selection.get_span(row)) is not None:
            strip = _highlight(strip, span, self.screen.get_component_rich_style("screen--selection"))
        return strip.extend_cell_length(self.size.width, base).crop(0, self.size.width).apply_offsets(0, row)

    @property
    def allow_select(self) -> bool:
        return True

    def selection_updated(self, selection: Selection | None) -> None:
        self._painted.clear()
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text: lines that were wrapped are one again."""
        pieces: list[str] = []
        for row in range(self._total):
            span = selection.get_span(row)
            line = self.line_at(row)
            if span is None or line is None:
                continue
            start, end = span
            text = line.strip.text
            whole = start <= _MARGIN and end in (-1, len(text))
            piece = line.text if whole else text[start : len(text) if end == -1 else end].strip()
            if line.joins and pieces:
                pieces[-1] += " " + piece
            else:
                pieces.append(piece)
        return "\n".join(pieces), "\n"


def _highlight(strip: Strip, span: tuple[int, int], style: RichStyle) -> Strip:
    """The strip with the characters of a span in the style of selected text."""
    start, end = span
    segments: list[Segment] = []
    position = 0
    for text, own, control in strip:
        stop = position + len(text)
        cut_from = min(max(start - position, 0), len(text))
        cut_to = len(text) if end == -1 else min(max(end - position, 0), len(text))
        if cut_from >= cut_to:
            segments.append(Segment(text, own, control))
        else:
            marked = (own or RichStyle()) + style
            parts = ((text[:cut_from], own), (text[cut_from:cut_to], marked), (text[cut_to:], own))
            segments += [Segment(part, look) for part, look in parts if part]
        position = stop
    return Strip(segments, strip.cell_length)
