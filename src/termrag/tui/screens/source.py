"""A source where it stands: the passage in its document, the words that carry an answer highlighted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from termrag.records import IndexedChunk, Passage
from termrag.tui.opening import line_of
from termrag.tui.widgets.keyline import KeyLine

if TYPE_CHECKING:
    from termrag.tui.app import TermragApp

_AROUND = 4  # chunks shown above and below the passage
_FAINT = "$foreground 65%"


class SourceScreen(ModalScreen[None]):
    """One of the passages that an answer was made from. `quotes` holds the supporting words by passage number."""

    app: TermragApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Close", id="source.close"),
        Binding("left_square_bracket,left", "step(-1)", "Before", id="source.before"),
        Binding("right_square_bracket,right", "step(1)", "Next", id="source.next"),
        Binding("plus,equals_sign", "widen", "More around it", id="source.more"),
        Binding("y", "copy", "Copy quote", id="source.copy"),
        Binding("o", "edit", "Open file", id="source.edit"),
    ]

    def __init__(self, passages: Sequence[Passage], index: int, quotes: Mapping[int, str]) -> None:
        super().__init__()
        self.passages = list(passages)
        self.index = index
        self.quotes = quotes
        self.around = _AROUND

    @property
    def passage(self) -> Passage:
        return self.passages[self.index]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall"):
            with VerticalScroll(id="source-scroll"):
                yield Static(id="source-text")
            yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.load()

    @work(group="source", exclusive=True, exit_on_error=False)
    async def load(self) -> None:
        """Show the passage with what stands around it in the document."""
        passage = self.passage
        dialog = self.query_one(".dialog")
        dialog.border_title = f"[{passage.number}] {passage.place}"
        dialog.border_subtitle = f"{self.index + 1} of {len(self.passages)}"
        chunks = await self.app.rag.chunks(passage.document_id)
        text, row = page(passage, chunks, self.quotes.get(passage.number, ""), self.around, self._width())
        self.query_one("#source-text", Static).update(text)
        scroll = self.query_one(VerticalScroll)
        self.call_after_refresh(scroll.scroll_to, y=max(row - scroll.size.height // 3, 0), animate=False)

    def _width(self) -> int:
        return max(self.query_one("#source-scroll").size.width - 1, 10)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.app.report(event.worker.error)

    def action_step(self, by: int) -> None:
        """Another source of the same answer."""
        self.index = (self.index + by) % len(self.passages)
        self.around = _AROUND
        self.load()

    def action_widen(self) -> None:
        """Show more of the document around the passage."""
        self.around *= 4
        self.load()

    def action_copy(self) -> None:
        """Copy the supporting words, or else the passage."""
        words = self.quotes.get(self.passage.number) or self.passage.text
        self.app.copy_text(f"“{' '.join(words.split())}” ({self.passage.place})")

    def action_edit(self) -> None:
        """Open the file itself."""
        self.app.open_outside(self.passage, line_of(self.passage, self.quotes.get(self.passage.number, "")))

    def action_leave(self) -> None:
        """Back to the conversation."""
        self.dismiss()


def page(passage: Passage, chunks: Sequence[IndexedChunk], quote: str, around: int, width: int) -> tuple[Content, int]:
    """The passage in its document, and the row of its supporting words when drawn `width` cells wide."""
    inside = [i for i, chunk in enumerate(chunks) if chunk.chunk_id in passage.chunk_ids]
    first, last = (inside[0], inside[-1]) if inside else (0, -1)
    before = [chunk.text for chunk in chunks[max(first - around, 0) : first]] if inside else []
    after = [chunk.text for chunk in chunks[last + 1 : last + 1 + around]] if inside else []
    body = Content(passage.text)
    start = passage.text.find(quote) if quote else -1
    if start >= 0:
        body = body.stylize("bold $text-warning on $warning 25%", start, start + len(quote))
    above = Content.styled("\n\n".join(before) + "\n\n", _FAINT) if before else Content("")
    below = Content.styled("\n\n" + "\n\n".join(after), _FAINT) if after else Content("")
    until = above + Content(passage.text[: max(start, 0)])
    row = sum(max(len(line.wrap(width)), 1) for line in until.split("\n", allow_blank=True)) - 1
    return Content.assemble(above, body, below), row
