"""The passages that an answer rests on, each to be opened where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from termrag.records import Answer, Passage

_FAINT = "$foreground 65%"
_QUOTE = 220  # characters of a passage that the list shows


class Sources(OptionList):
    """A list of passages; those that sentences rest on first show the words that carry them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "edit", "Open file", id="sources.edit"),
        Binding("y", "copy", "Copy quote", id="sources.copy"),
    ]

    class Opened(Message):
        """A passage is to be shown in its document (or, with `outside`, in the user's editor)."""

        def __init__(self, index: int, *, outside: bool = False) -> None:
            super().__init__()
            self.index = index
            self.outside = outside

    class Copied(Message):
        """A passage's words are to be copied."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.passages: tuple[Passage, ...] = ()
        self.quotes: dict[int, str] = {}

    def on_mount(self) -> None:
        self.border_title = "Sources"

    def show(self, passages: Sequence[Passage], answer: Answer | None = None) -> None:
        """List passages; with their answer, what it quotes of them."""
        sentences = answer.sentences if answer is not None else ()
        self.quotes = {}
        for sentence in sentences:
            for citation in sentence.citations:
                self.quotes.setdefault(citation.number, citation.quote)
        cited = set(self.quotes)
        self.passages = tuple(sorted(passages, key=lambda each: (each.number not in cited, each.number)))
        self.clear_options()
        self.add_options([Option(self._content(passage)) for passage in self.passages])
        self.highlighted = 0 if self.passages else None
        self.border_title = f"Sources {len(self.passages)}" if self.passages else "Sources"

    def _content(self, passage: Passage) -> Content:
        quote = " ".join((self.quotes.get(passage.number) or passage.text).split())
        shown = quote if len(quote) <= _QUOTE else quote[:_QUOTE].rsplit(" ", 1)[0] + " …"
        used = passage.number in self.quotes
        return Content.assemble(
            (f"[{passage.number}] ", "bold $text-accent" if used else _FAINT),
            (passage.place, "bold" if used else ""),
            "\n",
            (f"“{shown}”", "" if used else _FAINT),
            "\n",
        )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Opened(event.option_index))

    def action_edit(self) -> None:
        """Open the file itself."""
        if self.highlighted is not None:
            self.post_message(self.Opened(self.highlighted, outside=True))

    def action_copy(self) -> None:
        """Copy the passage's words."""
        if self.highlighted is not None:
            self.post_message(self.Copied(self.highlighted))
