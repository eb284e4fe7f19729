"""Every key that does something now, made from the bindings in force; Enter does it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from termrag.tui.screens.chat import COMMANDS, ChatScreen
from termrag.tui.widgets.keyline import KeyLine

if TYPE_CHECKING:
    from termrag.tui.app import TermragApp

_FAINT = "$foreground 65%"
_KEYS = 22  # cells of the keys
_NAMES = {
    "Composer": "Input",
    "Transcript": "Conversation",
    "Sessions": "Conversations",
    "ChatScreen": "Chat",
    "TermragApp": "Everywhere",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that can be done, and the keys for it. `node` is where; None for what is typed."""

    group: str
    keys: str
    description: str
    binding: Binding | None = None
    node: DOMNode | None = None


class HelpScreen(ModalScreen[None]):
    """The keys of the pane that has the focus, of its screen, of the app, then of the other panes."""

    app: TermragApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1", "leave", "Close", id="help.close"),
        Binding("down", "move(1)", "Down", id="help.down", show=False),
        Binding("up", "move(-1)", "Up", id="help.up", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._every: list[Line] = []
        self.shown: list[Line | None] = []  # None for the name of a group

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = "Help"
            yield Input(placeholder="type to search", id="help-query")
            yield OptionList(id="help-list")
            yield Static(f"Enter does it   your own keys: {self.app.paths.keys_file}", classes="hint", markup=False)
            yield KeyLine()

    def on_mount(self) -> None:
        below = self.app.screen_stack[-2]
        self._every = list(lines_of(below))
        self._list("")
        self.query_one(Input).focus()

    def _list(self, query: str) -> None:
        words = query.casefold().split()
        options: list[Option] = []
        self.shown = []
        group = ""
        for line in self._every:
            text = f"{line.group} {line.keys} {line.description}".casefold()
            if not all(word in text for word in words):
                continue
            if line.group != group:
                group = line.group
                self.shown.append(None)
                options.append(Option(Content.styled(group, "bold $text-primary"), disabled=True))
            self.shown.append(line)
            options.append(Option(Content.assemble((f"  {line.keys:<{_KEYS}} ", "$text-accent"), line.description)))
        listing = self.query_one("#help-list", OptionList)
        listing.clear_options()
        listing.add_options(options)
        listing.highlighted = 1 if options else None

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._list(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        index = self.query_one("#help-list", OptionList).highlighted
        if index is not None:
            self._do(index)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._do(event.option_index)

    def _do(self, index: int) -> None:
        line = self.shown[index]
        if line is None:
            return
        self.dismiss()
        if line.binding is not None:
            self.app.call_later(self.app.run_action, line.binding.action, line.node)

    def action_move(self, by: int) -> None:
        """Another line, while the search keeps the focus."""
        listing = self.query_one("#help-list", OptionList)
        if by > 0:
            listing.action_cursor_down()
        else:
            listing.action_cursor_up()

    def action_leave(self) -> None:
        """Back to where help was asked for."""
        self.dismiss()


def lines_of(screen: Screen[object]) -> Iterator[Line]:
    """What can be done on a screen: first what the focused pane does, last what the other panes would."""
    chain = screen.focused.ancestors_with_self if screen.focused is not None else [screen, screen.app]
    seen: set[str] = set()
    named: dict[str, str] = {}
    for node in [*chain, *(pane for pane in screen.query("*") if pane not in chain)]:
        for line in _lines_of_node(node, seen):
            if line.binding is not None:
                named[line.binding.action] = line.description
            yield line
    if isinstance(screen, ChatScreen):
        for word, action in COMMANDS.items():
            if said := named.get(action.removeprefix("app.")):
                yield Line("Typed in the input", word, said)


def _lines_of_node(node: DOMNode, seen: set[str]) -> Iterator[Line]:
    app = node.app
    gathered: dict[str, tuple[Binding, list[str]]] = {}
    bindings = node._bindings.copy()
    bindings.apply_keymap(app._keymap)
    for key, binding in bindings:
        of_app = (binding.id or "").startswith("app.")  # a pane may repeat them, where its widget has other uses
        if binding.id and binding.description and binding.id not in seen and (node is app or not of_app):
            gathered.setdefault(binding.id, (binding, []))[1].append(app.get_key_display(binding.with_key(key)))
    seen |= set(gathered)
    group = _NAMES.get(type(node).__name__, type(node).__name__.removesuffix("Screen"))
    for binding, keys in gathered.values():
        yield Line(group, "  ".join(dict.fromkeys(keys)), binding.description, binding, node)
