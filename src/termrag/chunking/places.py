"""Where an offset lies: page and line. Asked in rising order, so that a long text is counted once."""

from __future__ import annotations

from bisect import bisect_right

from termrag.records import Content


class Places:
    def __init__(self, content: Content) -> None:
        self._text = content.text
        self._keeps_indent = content.kind == "code"
        self._pages = content.pages
        self._page_starts = [mark.start_char for mark in content.pages]
        self._counted_to = 0
        self._lines_above = 0

    def line(self, offset: int) -> int:
        """Line of a character, from 1."""
        if offset < self._counted_to:
            self._counted_to, self._lines_above = 0, 0
        self._lines_above += self._text.count("\n", self._counted_to, offset)
        self._counted_to = offset
        return self._lines_above + 1

    def page(self, offset: int) -> tuple[int | None, str]:
        """(number, label) of the page that holds a character; (None, "") where there are no pages."""
        index = bisect_right(self._page_starts, offset) - 1
        return (self._pages[index].number, self._pages[index].label) if index >= 0 else (None, "")

    def visible(self, start: int, end: int) -> tuple[int, int]:
        """The span without the white space around it; code keeps the indentation of its first line."""
        text = self._text
        first = start
        while first < end and text[first].isspace():
            first += 1
        while end > first and text[end - 1].isspace():
            end -= 1
        if first < end and self._keeps_indent:
            first = max(start, text.rfind("\n", start, first) + 1)
        return first, end
