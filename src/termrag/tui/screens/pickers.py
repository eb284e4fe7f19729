"""Small dialogs: one of many by fuzzy search, a line of text. Each gives back what was chosen, or None for Esc."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from termrag.tui.fuzzy import best

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """One of many. `name` is searched and shown, `detail` shown beside it; a `marked` one is chosen already."""

    id: str
    name: str
    detail: str = ""
    marked: bool = False


class Picker(ModalScreen[Choice | None]):
    """One of many: type to search, Enter to choose."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", id="picker.close"),
        Binding("down,ctrl+n", "move(1)", "Down", id="picker.down", show=False),
        Binding("up,ctrl+p", "move(-1)", "Up", id="picker.up", show=False),
    ]

    def __init__(
        self, title: str, choices: Sequence[Choice], *, hint: str = "Enter chooses   Esc closes", begin: str = ""
    ) -> None:
        """`begin` is the id of the choice to begin at."""
        super().__init__()
        self.looked_at: Callable[[Choice], None] = lambda choice: None  # told of every choice under the cursor
        self._begin = begin
        self.choices = list(choices)
        self.shown: list[Choice] = []
        self._title = title
        self._hint = hint

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._title
            yield Input(placeholder="type to search", id="picker-query")
            yield OptionList(id="picker-list")
            yield Static(self._hint, classes="hint")

    def on_mount(self) -> None:
        self._show("")
        options = self.query_one(OptionList)
        options.highlighted = next(
            (i for i, each in enumerate(self.shown) if each.id == self._begin), options.highlighted
        )
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value or len(self.shown) != len(self.choices):  # not for the empty text that it begins with
            self._show(event.value)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_index < len(self.shown):
            self.looked_at(self.shown[event.option_index])

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        options = self.query_one(OptionList)
        if options.highlighted is not None:
            self.dismiss(self.shown[options.highlighted])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(self.shown[event.option_index])

    def action_move(self, by: int) -> None:
        """Another choice, while the search keeps the focus."""
        options = self.query_one(OptionList)
        if by > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()

    def action_leave(self) -> None:
        """Close without a choice."""
        self.dismiss(None)

    def _show(self, query: str) -> None:
        self.shown = best(query, self.choices, lambda choice: choice.name, _SHOWN)
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(_line(choice)) for choice in self.shown])
        options.highlighted = 0 if self.shown else None


class LinePrompt(ModalScreen[str | None]):
    """One line of text."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Close", id="line.close")]

    def __init__(self, title: str, value: str = "", *, secret: bool = False) -> None:
        super().__init__()
        self._title = title
        self._value = value
        self._secret = secret

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -low") as dialog:
            dialog.border_title = self._title
            yield Input(self._value, id="line", password=self._secret)
            yield Static("Enter keeps   Esc closes", classes="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip() or None)

    def action_leave(self) -> None:
        """Close and keep nothing."""
        self.dismiss(None)


def _line(choice: Choice) -> Content:
    mark = "✓ " if choice.marked else "  "
    return Content.assemble((mark, "$text-success"), choice.name, (f"  {choice.detail}", "$foreground 65%"))
