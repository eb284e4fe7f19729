"""What is in a document: its text as it was read, each piece with its place; or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from termrag.records import DocumentState, IndexedChunk
from termrag.tui.listing import Row, clean, day_text, one_line, plural, size_text
from termrag.tui.widgets.keyline import KeyLine

if TYPE_CHECKING:
    from termrag.tui.app import TermragApp

_AT_ONCE = 40  # chunks that are drawn at once; the next as the user comes near the end
_FAINT = "$foreground 65%"


class PreviewScreen(ModalScreen[None]):
    """One document of the library, or a file that is to become one."""

    app: TermragApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Close", id="preview.close"),
        Binding("y", "copy", "Copy text", id="preview.copy"),
    ]

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.row = row
        self.chunks: Sequence[IndexedChunk] = ()
        self.drawn = 0

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = Content(self.row.name)
            yield Static(_facts(self.row), id="preview-facts")
            with VerticalScroll(id="preview-scroll"):
                yield Static(_trouble(self.row), id="preview-text")
            yield KeyLine()

    def on_mount(self) -> None:
        scroll = self.query_one(VerticalScroll)
        scroll.focus()
        self.watch(scroll, "scroll_y", self._near_end, init=False)
        if self.row.document is not None and self.row.document.state is not DocumentState.FAILED:
            self.load(self.row.document.id)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.app.report(event.worker.error)

    @work(exclusive=True, exit_on_error=False)
    async def load(self, document_id: str) -> None:
        """Show the beginning of the text."""
        self.chunks = await self.app.rag.chunks(document_id)
        self._draw_more()

    def _near_end(self) -> None:
        scroll = self.query_one(VerticalScroll)
        if self.drawn < len(self.chunks) and scroll.scroll_y > scroll.max_scroll_y - 2 * scroll.size.height:
            self._draw_more()

    def _draw_more(self) -> None:
        first, self.drawn = self.drawn, min(self.drawn + _AT_ONCE, len(self.chunks))
        text = Content("\n\n").join(_piece(chunk) for chunk in self.chunks[first : self.drawn])
        if first == 0:
            self.query_one("#preview-text", Static).update(text)
        else:
            self.query_one(VerticalScroll).mount(Static(text, classes="preview-more"))

    def action_copy(self) -> None:
        """Copy the text as it was read."""
        if self.chunks:
            self.app.copy_text("\n\n".join(chunk.text for chunk in self.chunks))

    def action_leave(self) -> None:
        """Back to the list."""
        self.dismiss()


def _facts(row: Row) -> Content:
    document = row.document
    parts = [row.type, size_text(row.size)]
    if document is not None:
        parts += [plural(document.pages, "page") if document.pages else "", plural(document.chunks, "chunk")]
        parts += [document.language, day_text(document.modified_ns), document.author]
    first = "  ".join(one_line(part) for part in parts if part)
    return Content.assemble((f"{row.folder}\n", _FAINT), (f"{row.state}  ", "bold"), (first, _FAINT))


def _trouble(row: Row) -> Content:
    if row.is_failed:
        return Content.assemble((row.reason, "$text-error"), "\n\n", row.hint)
    if row.document is None:
        said = f": {row.reason}" if row.reason else ""
        return Content.styled(f"{row.state}{said}", _FAINT)
    return Content.styled("opening", _FAINT)


def _piece(chunk: IndexedChunk) -> Content:
    """A chunk below its place: page or lines, and heading."""
    parts = []
    if chunk.page is not None:
        parts.append(f"page {chunk.page_label or chunk.page}")
    elif chunk.lines_match:
        parts.append(f"lines {chunk.start_line}-{chunk.end_line}")
    if chunk.heading:
        parts.append(one_line(chunk.heading))
    place = "  ".join(parts) or f"part {chunk.position + 1}"
    text = "\n".join(clean(line) for line in chunk.text.split("\n"))
    return Content.assemble((place, "bold $text-accent"), "\n", text)
