"""Where questions are typed: Enter sends, Ctrl+J breaks the line, the arrows bring earlier questions back."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

# What terminals send for Shift, Alt or Ctrl with Enter, where they can tell it from Enter at all.
_NEW_LINE = {"ctrl+j", "shift+enter", "alt+enter", "ctrl+enter", "shift+\r", "ctrl+\r"}


class Composer(TextArea):
    """The input. It keeps what was sent, so that the arrows can bring it back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", id="composer.send", show=False),
        Binding("ctrl+j", "new_line", "New line", id="composer.new_line", show=False),
        Binding("pageup", "screen.scroll_transcript(-1)", "Scroll up", id="composer.page_up", show=False),
        Binding("pagedown", "screen.scroll_transcript(1)", "Scroll down", id="composer.page_down", show=False),
        Binding("ctrl+home", "screen.scroll_transcript(-1000)", "First message", id="composer.first", show=False),
        Binding("ctrl+end", "screen.scroll_transcript(1000)", "Last message", id="composer.last", show=False),
        # TextArea's own uses of these keys would shadow the app's.
        Binding("f6", "app.open('models')", "Models", id="app.models"),
        Binding("f7", "app.toggle_dark", "Dark or light", id="app.dark", show=False),
    ]

    class Sent(Message):
        """The user sends a question."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Mentioned(Message):
        """An `@` was typed where a word begins: the user wants to name documents."""

    class Dropped(Message):
        """Text was pasted that may be the paths of dropped files; whoever finds that it is not inserts it."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, **options: Any) -> None:
        super().__init__(
            soft_wrap=True, show_line_numbers=False, tab_behavior="focus", highlight_cursor_line=False, **options
        )
        self.sent: list[str] = []
        self._recalled: int | None = None  # which earlier question is shown
        self._draft = ""

    async def _on_key(self, event: events.Key) -> None:
        if event.key in _NEW_LINE:
            event.stop()
            event.prevent_default()
            self.action_new_line()
        elif event.key == "enter":
            event.stop()
            event.prevent_default()
            self.action_send()
        elif event.character == "@" and self._begins_a_word():
            event.stop()
            event.prevent_default()
            self.post_message(self.Mentioned())
        else:
            await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        from termrag.tui.dropped import may_be_paths

        event.stop()
        event.prevent_default()
        if may_be_paths(event.text):
            self.post_message(self.Dropped(event.text))
        else:
            self.insert(event.text)

    def _begins_a_word(self) -> bool:
        row, column = self.cursor_location
        return column == 0 or self.document[row][column - 1].isspace()

    def action_new_line(self) -> None:
        """Break the line at the cursor."""
        self.insert("\n")

    def action_send(self) -> None:
        """Send what is typed; after a backslash, break the line instead."""
        row, column = self.cursor_location
        if column and self.document[row][column - 1] == "\\":
            self.delete((row, column - 1), (row, column))
            self.action_new_line()
            return
        text = self.text.strip()
        if not text:
            return
        if not self.sent or self.sent[-1] != text:
            self.sent.append(text)
        self._recalled = None
        self.clear()
        self.post_message(self.Sent(text))

    def action_cursor_up(self, select: bool = False) -> None:
        """Up a line; from the first one, to the question before."""
        if select or not self.cursor_at_first_line or not self._recall(-1):
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Down a line; from the last one, to the question after."""
        if select or not self.cursor_at_last_line or not self._recall(1):
            super().action_cursor_down(select)

    def _recall(self, by: int) -> bool:
        if self._recalled is None:
            if by > 0 or not self.sent:
                return False
            self._draft, self._recalled = self.text, len(self.sent)
        position = self._recalled + by
        if position < 0:
            return False
        if position >= len(self.sent):
            self._recalled = None
            self.fill(self._draft)
        else:
            self._recalled = position
            self.fill(self.sent[position])
        return True

    def fill(self, text: str) -> None:
        """Put a text in, the cursor at its end."""
        self.text = text
        self.move_cursor(self.document.end)
