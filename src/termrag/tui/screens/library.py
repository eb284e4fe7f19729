"""Two lists beside the documents: what can be read, and the folders that stay in the library by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import Worker, WorkerState

from termrag.tui.entries import clock
from termrag.tui.listing import clean, plural
from termrag.tui.widgets.keyline import KeyLine
from termrag.watchstate import WatchedFolder, WatchState, WatchStatus

if TYPE_CHECKING:
    from termrag.tui.app import TermragApp

_FAINT = "$foreground 65%"


class FormatsScreen(ModalScreen[None]):
    """What can be read."""

    app: TermragApp

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,i", "leave", "Close", id="formats.close")]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = "What can be read"
            with VerticalScroll(id="formats-scroll"):
                yield Static(self._list(), id="formats-list")
            yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def _list(self) -> Content:
        settings = self.app.settings.documents
        lines = [
            Content.assemble(
                (f"{'•' if each.isolated else ' '} {each.title}  ", "bold"),
                (" ".join(each.suffixes), "$foreground 80%"),
            )
            for each in self.app.rag.readable_formats()
        ]
        limits = (
            "\n• read by a parser in a process of its own, without network. "
            f"Files up to {settings.max_file_mb:,} MB, {settings.convert_timeout_s:.0f} s and "
            f"{settings.convert_memory_mb:,} MB of memory for one parser. Content is looked at, the suffix is not "
            "believed. Scanned pages and images without text give none."
        )
        return Content("\n").join([*lines, Content.styled(limits, _FAINT)])

    def action_leave(self) -> None:
        """Back to the list."""
        self.dismiss()


class WatchedScreen(ModalScreen[None]):
    """The watched folders, and those that were added and could be."""

    app: TermragApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Close", id="watched.close"),
        Binding("space,w", "watch", "Watch or not", id="watched.toggle"),
        Binding("s", "sync", "Look for changes now", id="watched.sync"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.folders: list[tuple[str, WatchedFolder | None]] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = "Watched folders"
            yield Static(id="watched-state")
            yield OptionList(id="watched-list")
            yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()
        self.load()
        self.set_interval(2, self.load)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.app.report(event.worker.error)

    @work(group="watched", exclusive=True, exit_on_error=False)
    async def load(self) -> None:
        """Show the folders as they are now."""
        watched = {each.path: each for each in await self.app.rag.watched()}
        added = await self.app.rag.added_folders()
        status = await self.app.rag.watch_status()
        self.folders = sorted({**dict.fromkeys(added, None), **watched}.items())
        self._show(status)

    def _show(self, status: WatchStatus) -> None:
        options = self.query_one(OptionList)
        kept = options.highlighted
        options.clear_options()
        options.add_options([Option(_folder_line(path, folder)) for path, folder in self.folders])
        if self.folders:
            options.highlighted = min(kept or 0, len(self.folders) - 1)
        self.query_one("#watched-state", Static).update(_state(status, any(each for _, each in self.folders)))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_watch()

    @work(group="toggle", exit_on_error=False)
    async def action_watch(self) -> None:
        """Watch the folder, or leave off; its documents stay."""
        index = self.query_one(OptionList).highlighted
        if index is None or index >= len(self.folders):
            return
        path, folder = self.folders[index]
        if folder is None:
            await self.app.rag.watch_folder(path)
        else:
            await self.app.rag.unwatch(path)
        self.load()

    def action_sync(self) -> None:
        """Make the library equal to the folders now."""
        self.app.ingesting.sync(self.app.rag)
        self.notify("looking for changes")

    def action_leave(self) -> None:
        """Back to the list."""
        self.dismiss()


def _folder_line(path: str, folder: WatchedFolder | None) -> Content:
    name, above = clean(Path(path).name or path), clean(str(Path(path).parent))
    if folder is None:
        return Content.assemble("☐ ", name, (f"  {above}", _FAINT))
    notes = [f"\n  ! {clean(folder.trouble)}" if folder.trouble else ""]
    notes.append(
        f"\n  ! {plural(folder.held, 'deletion')} held back: most of the folder is gone" if folder.held else ""
    )
    patterns = [*(f"only {each}" for each in folder.include), *(f"not {each}" for each in folder.exclude)]
    notes.append("\n  " + clean(", ".join(patterns)) if patterns else "")
    return Content.assemble(
        ("☑ ", "$text-success"), (name, "bold"), (f"  {above}", _FAINT), ("".join(notes), "$text-warning")
    )


def _state(status: WatchStatus, is_any: bool) -> Content:
    if status.state is WatchState.OFF:
        said = "No process watches now: termrag watch" if is_any else "Nothing is watched yet."
        return Content.styled(said, "$text-warning" if is_any else _FAINT)
    parts = [f"process {status.pid}: {status.state}"]
    parts.append(status.reason)
    parts.append(f"{status.queued} waiting" if status.queued else "")
    parts.append(f"looks at everything again at {clock(status.next_sweep_at)}" if status.next_sweep_at else "")
    return Content.styled("  ".join(filter(None, map(clean, parts))), _FAINT)
