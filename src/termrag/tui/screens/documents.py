"""The library: every document with its state, what is on its way in, and all that can be done with them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static
from textual.worker import Worker, WorkerState

from termrag.records import Document, DocumentState, Passage
from termrag.tui.dropped import dropped_paths, may_be_paths
from termrag.tui.listing import SORTS, VIEWS, Row, clean, plural, rows_of, shown, size_text
from termrag.tui.widgets.documents import DocumentTable
from termrag.tui.widgets.keyline import KeyLine
from termrag.tui.widgets.progress import QueueLine

if TYPE_CHECKING:
    from termrag.removing import Taken
    from termrag.tui.app import TermragApp

_LOOK_S = 0.2  # how often the queue is looked at
_RELOAD_EVERY = 5  # looks from one reading of the library to the next, while it changes
_MANY = 2000  # rows from which both are done more seldom, so that they never take a large share of the processor


class FilterInput(Input):
    """Where the filter is typed. Dropped files are not for it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.leave", "Clear filter", id="filter.clear"),
        Binding("enter,down", "screen.to_table", "To the list", id="filter.done"),
    ]

    def _on_paste(self, event: events.Paste) -> None:
        if may_be_paths(event.text):
            event.prevent_default()


class DocumentsScreen(Screen[None]):
    """The documents of the library."""

    app: TermragApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", id="documents.close", show=False),
        Binding("a", "add", "Add", id="documents.add"),
        Binding("slash", "filter", "Filter", id="documents.filter"),
        Binding("d,delete", "remove", "Remove", id="documents.remove"),
        Binding("u", "undo", "Undo", id="documents.undo"),
        Binding("r", "reindex", "Re-index", id="documents.reindex"),
        Binding("s", "sort", "Sort", id="documents.sort"),
        Binding("v", "view", "View", id="documents.view"),
        Binding("w", "watched", "Watched", id="documents.watched"),
        Binding("i", "formats", "Formats", id="documents.formats"),
        Binding("p", "pause", "Pause", id="documents.pause"),
        Binding("x", "cancel", "Cancel", id="documents.cancel"),
        Binding("S", "turn_round", "Sort the other way round", id="documents.turn_round", show=False),
        Binding("l", "limit", "Limit questions to it", id="documents.limit", show=False),
        Binding("o", "edit", "Open file", id="documents.edit", show=False),
        Binding("y", "copy", "Copy path", id="documents.copy", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.documents: list[Document] = []
        self.view = VIEWS[0]
        self._rows: list[Row] = []
        self._is_loaded = False
        self._taken: list[Taken] = []
        self._changing = asyncio.Lock()  # held while documents are taken out
        self._ticks = 0
        self._seen = (-1, -1)  # versions of the queue and of the library that are shown

    def compose(self) -> ComposeResult:
        yield Static(id="documents-title")
        yield FilterInput(
            placeholder="filter by name, folder, type or state", id="documents-filter", select_on_focus=False
        )
        yield DocumentTable(id="documents-table")
        yield Static(id="documents-detail")
        yield QueueLine(self.app.ingesting, id="documents-queue")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        self.table.focus()
        self.reload()
        self.set_interval(_LOOK_S, self._look)

    def on_screen_resume(self) -> None:
        self.reload()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.app.report(event.worker.error)

    @property
    def table(self) -> DocumentTable:
        return self.query_one(DocumentTable)

    @property
    def filter(self) -> Input:
        return self.query_one("#documents-filter", Input)

    # --- what is shown -------------------------------------------------------------------------------------------

    @work(group="documents", exclusive=True, exit_on_error=False)
    async def reload(self) -> None:
        """Read the library's list again."""
        queue = self.app.ingesting
        commits = queue.commits
        self.documents = await self.app.rag.documents()
        self._is_loaded = True
        self._seen = (self._seen[0], commits)
        self._build()

    def _look(self) -> None:
        """Follow the queue; the library is read again where it has changed, not at every step."""
        queue = self.app.ingesting
        self._ticks += 1
        version, commits = self._seen
        seldom = 1 + len(self._rows) // _MANY
        if queue.commits != commits and (self._ticks % (_RELOAD_EVERY * seldom) == 0 or not queue.is_busy):
            self._seen = (queue.version, queue.commits)
            self.reload()
        elif queue.version != version and (self._ticks % seldom == 0 or not queue.is_busy):
            self._seen = (queue.version, commits)
            self._build()
        self.query_one(QueueLine).look()

    def _build(self) -> None:
        self._rows = rows_of(self.documents, self.app.ingesting.files)
        self.show_rows()

    def show_rows(self, *, keep: bool = True) -> None:
        """Filter and sort what there is."""
        table = self.table
        query = self.filter.value
        rows = shown(self._rows, query=query, view=self.view, sort=table.sort, reverse=table.reverse)
        table.nothing = self._nothing(query)
        table.show(rows, keep=keep)
        self._show_title()

    def _nothing(self, query: str) -> tuple[str, ...]:
        key_of = self.app.key_of
        if not self._is_loaded:
            return ("looking into the library",)
        if self._rows:
            which = f" that match {clean(query)}" if query.strip() else ""
            leave, view = key_of("documents.close"), key_of("documents.view")
            return (f"No documents{which} here.", "", f"{leave} clears the filter, {view} shows all.")
        adding = f"{key_of('documents.add')} adds files and folders, or drop them here."
        return ("No documents yet.", "", adding, f"{key_of('documents.formats')} shows what can be read.")

    def _show_title(self) -> None:
        table = self.table
        chunks = sum(document.chunks for document in self.documents)
        size = size_text(sum(document.size_bytes for document in self.documents))
        failed = sum(row.is_failed for row in self._rows)
        working = sum(row.is_in_work for row in self._rows)
        parts: list[tuple[str, str]] = [("Documents ", "bold $text-primary")]
        is_part = self.view != "all" or bool(self.filter.value.strip())
        parts.append((f" {len(table.rows):,} of {len(self._rows):,} " if is_part else f" {len(self._rows):,} ", "bold"))
        if table.marked:
            parts.append((f" {len(table.marked):,} selected ", "bold $text-accent"))
        for name, number, style in (("in work", working, "$text-accent"), ("failed", failed, "$text-error")):
            if number:
                parts.append((f" {name} {number:,} ", style + (" reverse" if self.view == name else "")))
        parts.append((f" {plural(chunks, 'chunk')}  {size}", "$foreground 65%"))
        self.query_one("#documents-title", Static).update(Content.assemble(*parts))

    def on_document_table_moved(self) -> None:
        row = self.table.current
        self.query_one("#documents-detail", Static).update(_detail(row) if row is not None else "")

    def on_document_table_marked(self) -> None:
        self._show_title()

    def on_document_table_sorted(self, event: DocumentTable.Sorted) -> None:
        table = self.table
        table.reverse = not table.reverse if table.sort == event.column else False
        table.sort = event.column
        self.show_rows()

    def on_document_table_opened(self, event: DocumentTable.Opened) -> None:
        from termrag.tui.screens.preview import PreviewScreen

        self.app.push_screen(PreviewScreen(event.row))

    # --- finding -------------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Show only what is typed."""
        self.filter.add_class("-shown")
        self.filter.focus()

    def action_to_table(self) -> None:
        """Keep the filter, and back to the list."""
        self.filter.set_class(bool(self.filter.value), "-shown")
        self.table.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.show_rows(keep=False)

    def action_sort(self) -> None:
        """Sort by the next column."""
        self.table.sort = SORTS[(SORTS.index(self.table.sort) + 1) % len(SORTS)]
        self.table.reverse = False
        self.show_rows()

    def action_turn_round(self) -> None:
        """Sort the other way round."""
        self.table.reverse = not self.table.reverse
        self.show_rows()

    def action_view(self) -> None:
        """All documents, those in work, those that failed."""
        self.view = VIEWS[(VIEWS.index(self.view) + 1) % len(VIEWS)]
        self.show_rows(keep=False)

    def action_leave(self) -> None:
        """Let go of the filter, the view, what is selected; then back to the conversation."""
        if self.filter.value or self.filter.has_focus:
            self.filter.value = ""
            self.action_to_table()
        elif self.view != "all":
            self.view = "all"
            self.show_rows()
        elif self.table.marked:
            self.table.forget_marks()
        else:
            self.dismiss()

    # --- adding --------------------------------------------------------------------------------------------------

    def action_add(self) -> None:
        """Choose files and folders to add."""
        self._offer([])

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self._take_drop(event.text)

    @work(group="drop", exit_on_error=False)
    async def _take_drop(self, text: str) -> None:
        paths = await asyncio.to_thread(dropped_paths, text)
        if paths:
            self._offer(paths)
        else:
            self.notify("what was pasted is no path of a file or folder here")

    def _offer(self, paths: Sequence[str]) -> None:
        from termrag.tui.screens.add import AddScreen

        self.app.push_screen(AddScreen(paths))

    # --- doing something with documents --------------------------------------------------------------------------

    @work(group="change", exit_on_error=False)
    async def action_remove(self) -> None:
        """Take documents out of the library; the files stay."""
        chosen = [row.path for row in self.table.chosen if row.document is not None]
        if not chosen:
            return
        self.table.forget_marks()
        gone = set(chosen)
        self.documents = [each for each in self.documents if each.path not in gone]
        for path in chosen:
            self.app.ingesting.files.pop(path, None)
        self._build()
        async with self._changing:
            taken = await self.app.rag.take_out(chosen)
            self._taken.append(taken)
        watched = await self._watched_above(chosen)
        again = f". {watched} is watched: what changes there comes in again" if watched else ""
        self.notify(
            f"{plural(taken.count, 'document')} removed; the files stay. "
            f"{self.app.key_of('documents.undo')} brings back{again}",
            markup=False,
            timeout=8,
        )
        self.reload()

    async def _watched_above(self, paths: Sequence[str]) -> str:
        """The name of a watched folder that holds one of the paths."""
        folders = [folder.path for folder in await self.app.rag.watched()]
        found = next((each for each in folders if any(path.startswith(each + "/") for path in paths)), "")
        return clean(Path(found).name) if found else ""

    @work(group="undo", exit_on_error=False)
    async def action_undo(self) -> None:
        """Bring back what was removed last, as it was; waits for a removal that is still at work."""
        async with self._changing:
            taken = self._taken.pop() if self._taken else None
        if taken is None:
            self.notify("nothing was removed")
        else:
            self.app.ingesting.bring_back(self.app.rag, taken)

    def action_reindex(self) -> None:
        """Read documents again, failed ones too."""
        chosen = [row for row in self.table.chosen if row.path.startswith("/")]
        if not chosen:
            self.notify("what was added as text has no file to be read again")
            return
        self.table.forget_marks()
        self.app.ingesting.reindex(self.app.rag, [(row.path, row.size) for row in chosen])

    def action_pause(self) -> None:
        """Stop taking files in after the one in hand, or go on."""
        if self.app.ingesting.is_busy:
            self.app.ingesting.pause()
            self.query_one(QueueLine).look()

    def action_cancel(self) -> None:
        """Stop taking files in; what is finished stays."""
        if self.app.ingesting.is_busy:
            self.app.ingesting.cancel()

    def action_limit(self) -> None:
        """Ask only these documents."""
        chosen = [
            (row.document.id, row.name)
            for row in self.table.chosen
            if row.document is not None and row.document.state is DocumentState.INDEXED
        ]
        if chosen:
            self.app.limit_to(chosen)
            self.dismiss()

    def action_edit(self) -> None:
        """Open the file itself."""
        row = self.table.current
        if row is not None:
            document_id = row.document.id if row.document is not None else ""
            self.app.open_outside(_passage(document_id, row.path), 1)

    def action_copy(self) -> None:
        """Copy the paths."""
        chosen = self.table.chosen
        if chosen:
            self.app.copy_text("\n".join(row.path for row in chosen))

    def action_formats(self) -> None:
        """What can be read."""
        from termrag.tui.screens.library import FormatsScreen

        self.app.push_screen(FormatsScreen())

    def action_watched(self) -> None:
        """The folders that stay in the library by themselves."""
        from termrag.tui.screens.library import WatchedScreen

        self.app.push_screen(WatchedScreen())


def _detail(row: Row) -> Content:
    """One line on the row under the cursor: why it failed, else where it is."""
    if row.is_failed or row.reason:
        hint = f"  {row.hint}" if row.hint else ""
        return Content.assemble((row.reason, "$text-error" if row.is_failed else "$text-warning"), (hint, ""))
    title = row.document.title if row.document is not None else ""
    pages = f"  {plural(row.document.pages, 'page')}" if row.document is not None and row.document.pages else ""
    named = f"  “{clean(title)}”" if title and title != row.name else ""
    return Content.styled(f"{clean(row.path)}{pages}{named}", "$foreground 75%")


def _passage(document_id: str, path: str) -> Passage:
    """A file as a source that has no place in it."""
    return Passage(0, document_id, path, "", "", None, "", 1, 1, False, "", "", "", 0.0)
