"""The kept conversations: searched as one types, opened, renamed, deleted and brought back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from termrag.tui.entries import clock
from termrag.turns import SessionInfo

_FAINT = "$foreground 65%"


class Sessions(Vertical):
    """A search line above a list of conversations, newest first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "wish('rename')", "Rename", id="sessions.rename"),
        Binding("d,delete", "wish('delete')", "Delete", id="sessions.delete"),
        Binding("u", "wish('restore')", "Undo delete", id="sessions.restore"),
        Binding("e", "wish('export')", "Export", id="sessions.export"),
        Binding("slash", "search", "Search", id="sessions.search"),
    ]

    class Searched(Message):
        """The words to search for have changed."""

        def __init__(self, query: str) -> None:
            super().__init__()
            self.query = query

    class Chosen(Message):
        """A conversation is to be opened."""

        def __init__(self, session: SessionInfo) -> None:
            super().__init__()
            self.session = session

    class Wished(Message):
        """Something is to be done with a conversation; `session` is None for what concerns none in view."""

        def __init__(self, wish: str, session: SessionInfo | None) -> None:
            super().__init__()
            self.wish = wish
            self.session = session

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sessions: list[SessionInfo] = []

    def compose(self) -> ComposeResult:
        yield Input(placeholder="search conversations", id="sessions-query")
        yield OptionList(id="sessions-list")

    @property
    def query_text(self) -> str:
        return self.query_one(Input).value

    def focus_list(self) -> None:
        """Let the keys of the list work."""
        self.query_one(OptionList).focus()

    def show(self, sessions: Sequence[SessionInfo], open_id: str | None) -> None:
        """List conversations; the one that is open is marked."""
        options = self.query_one(OptionList)
        highlighted = self._highlighted()
        self.sessions = list(sessions)
        options.clear_options()
        options.add_options([Option(self._content(each, each.id == open_id)) for each in self.sessions])
        wanted = highlighted.id if highlighted is not None else open_id
        index = next((i for i, each in enumerate(self.sessions) if each.id == wanted), 0)
        options.highlighted = index if self.sessions else None

    def _content(self, session: SessionInfo, is_open: bool) -> Content:
        title = session.title or "New conversation"
        turns = f"{session.turns} question" + ("" if session.turns == 1 else "s")
        parts: list[Any] = [
            (f"{'▌' if is_open else ' '}{title}", "bold" if is_open else ""),
            (f"\n  {_day(session.changed_at)} · {turns}", _FAINT),
        ]
        if session.snippet:
            parts.append((f"\n  {' '.join(session.snippet.split())}", "italic $foreground 75%"))
        return Content.assemble(*parts)

    def _highlighted(self) -> SessionInfo | None:
        index = self.query_one(OptionList).highlighted
        return self.sessions[index] if index is not None and index < len(self.sessions) else None

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Searched(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        chosen = self._highlighted()
        if chosen is not None:
            self.post_message(self.Chosen(chosen))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Chosen(self.sessions[event.option_index]))

    def action_wish(self, wish: str) -> None:
        """Rename, delete, bring back or export."""
        self.post_message(self.Wished(wish, self._highlighted()))

    def action_search(self) -> None:
        """Type what to search for."""
        self.query_one(Input).focus()


def _day(seconds: float) -> str:
    days = (time.time() - seconds) / 86_400
    return clock(seconds) if days < 7 else clock(seconds).split(" ")[0]
