"""Choose what to add: a path, dropped files, a tree of files. What would be read is shown before anything is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Checkbox, Input, Static
from textual.worker import Worker, WorkerState

from termrag.candidates import AddPreview
from termrag.errors import NotFound
from termrag.tui import choosing
from termrag.tui.choosing import Chosen, Summary, given_path, summarised
from termrag.tui.dropped import dropped_paths
from termrag.tui.listing import clean, plural
from termrag.tui.widgets.keyline import KeyLine
from termrag.tui.widgets.paths import FileTree, PathInput, Switch

if TYPE_CHECKING:
    from termrag.tui.app import TermragApp

_SETTLE_S = 0.15  # after the last letter, before the disk is looked at
_FAINT = "$foreground 65%"
_NAMED = 3  # chosen paths that are named; the others are counted


class AddScreen(ModalScreen[bool]):
    """Adds what is chosen; True if anything was."""

    app: TermragApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "add", "Add", id="add.add"),
        Binding("escape", "leave", "Close", id="add.close"),
        Binding("alt+s", "turn('subfolders')", "Sub-folders", id="add.subfolders"),
        Binding("alt+w", "turn('watch')", "Watch", id="add.watch"),
    ]

    def __init__(self, paths: Sequence[str] = ()) -> None:
        super().__init__()
        self.chosen = Chosen(list(paths))
        self.preview: AddPreview | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall", id="add-dialog") as dialog:
            dialog.border_title = "Add documents"
            yield PathInput(placeholder="path of a file or folder; Tab completes", id="add-path")
            yield Static(id="add-names")
            yield Static(id="add-chosen")
            with Horizontal(id="add-panes"):
                yield FileTree(self.chosen.holds, id="add-tree")
                with VerticalScroll(id="add-preview", can_focus=False):
                    yield Static(id="add-summary")
            with Horizontal(id="add-options"):
                yield Switch("include sub-folders", True, id="add-subfolders")
                yield Switch("watch for changes", False, id="add-watch")
            yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(PathInput).focus()
        folders = {path if os.path.isdir(path) else str(Path(path).parent) for path in self.chosen.paths}  # noqa: PTH112
        above = os.path.commonpath(folders) if folders else str(Path.cwd())
        self.query_one(FileTree).show_root_at(above)
        self._look()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.app.report(event.worker.error)

    @property
    def subfolders(self) -> bool:
        return self.query_one("#add-subfolders", Checkbox).value

    # --- what would be read --------------------------------------------------------------------------------------

    @work(group="look", exclusive=True, exit_on_error=False)
    async def _look(self) -> None:
        """Look at what is chosen, on the disk and in the library."""
        self.preview = None
        self._show_chosen()
        if not self.chosen.roots:
            self._show("Choose what to add: type a path, drop files here, or take them from the tree with Space.")
            return
        await asyncio.sleep(_SETTLE_S)
        self._show("looking")
        previews = self.app.rag.preview_adding(self.chosen.roots, subfolders=self.subfolders)
        async with aclosing(previews):
            async for preview in previews:
                if preview.complete:
                    self.preview = preview
                    self._summarise()
                else:
                    self._show(f"looking: {plural(preview.seen, 'file')} so far")

    def _show(self, text: str) -> None:
        self.query_one("#add-summary", Static).update(Content.styled(text, _FAINT))
        self._name_action(0)

    def _summarise(self) -> None:
        if self.preview is not None:
            summary = summarised(self.chosen, self.preview)
            self.query_one("#add-summary", Static).update(_content(summary))
            self._name_action(summary.wanted)

    def _name_action(self, wanted: int) -> None:
        dialog = self.query_one("#add-dialog", Vertical)
        dialog.border_subtitle = f"Enter adds {plural(wanted, 'file')}" if wanted else ""

    def _show_chosen(self) -> None:
        paths = self.chosen.paths
        names = ", ".join(clean(Path(path).name or path) for path in paths[:_NAMED])
        more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
        line = self.query_one("#add-chosen", Static)
        line.display = bool(paths)
        line.update(Content.assemble(("chosen  ", _FAINT), (names, "bold"), (more, "")))
        self.query_one(FileTree).marks_changed()

    def on_checkbox_changed(self, event: Checkbox.Changed) -> None:
        event.stop()
        if event.checkbox.id == "add-subfolders":
            self._look()

    def action_turn(self, name: str) -> None:
        """Turn an option on or off."""
        self.query_one(f"#add-{name}", Checkbox).toggle()

    # --- choosing ------------------------------------------------------------------------------------------------

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.query_one("#add-names").display = False
        self.chosen.typed = given_path(event.value)
        self._look()
        self._follow_path()

    @work(group="follow", exclusive=True, exit_on_error=False)
    async def _follow_path(self) -> None:
        """Show in the tree the folder that is typed."""
        await asyncio.sleep(_SETTLE_S)
        path = self.chosen.typed
        is_folder = bool(path) and await asyncio.to_thread(os.path.isdir, path)
        tree = self.query_one(FileTree)
        if is_folder and path != tree.root_path:
            tree.show_root_at(path)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_add()

    @work(group="complete", exclusive=True, exit_on_error=False)
    async def on_path_input_completed(self, event: PathInput.Completed) -> None:
        """Complete a path as far as its names agree; show them where they do not."""
        folder, start = choosing.split(event.text)
        try:
            entries = await self.app.rag.browse(folder or ".")
        except NotFound:
            entries = []
        more, names = choosing.completed(start, entries)
        path = self.query_one(PathInput)
        if path.value != event.text:
            return
        if more != start:
            path.value = folder + more
            path.cursor_position = len(path.value)
        elif event.text.strip() in ("~", "~/", ""):
            path.value = "~/"
            path.cursor_position = 2
        elif len(names) > 1:
            line = self.query_one("#add-names", Static)
            line.update(Content.styled("  ".join(clean(name) for name in names[:40]), _FAINT))
            line.display = True
        else:
            self.focus_next()

    @work(group="drop", exit_on_error=False)
    async def on_path_input_dropped(self, event: PathInput.Dropped) -> None:
        await self._take_drop(event.text)

    @work(group="drop", exit_on_error=False)
    async def on_paste(self, event: events.Paste) -> None:
        event.stop()
        await self._take_drop(event.text)

    async def _take_drop(self, text: str) -> None:
        paths = await asyncio.to_thread(dropped_paths, text)
        if paths:
            self.chosen.paths = list(dict.fromkeys([*self.chosen.paths, *paths]))
            self._look()
        else:
            self.query_one(PathInput).insert_text_at_cursor(clean(text.strip()))

    def on_path_input_emptied(self) -> None:
        if self.chosen.paths:
            self.chosen.paths.pop()
            self._look()

    # --- the tree ------------------------------------------------------------------------------------------------

    def action_to_tree(self) -> None:
        """Choose from the tree."""
        self.query_one(FileTree).focus()

    @work(group="browse", exit_on_error=False)
    async def on_file_tree_wanted(self, event: FileTree.Wanted) -> None:
        """Fill a folder of the tree."""
        if event.node.data is not None:
            entries = await self.app.rag.browse(event.node.data.path)
            self.query_one(FileTree).fill(event.node, entries)

    def on_file_tree_chosen(self, event: FileTree.Chosen) -> None:
        typed = self.chosen.typed
        self.chosen.toggle(event.path)
        if typed and not self.chosen.typed:
            self.query_one(PathInput).value = ""
        if self.preview is not None and event.path in self.chosen.left_out:
            self._show_chosen()
            self._summarise()
        else:
            self._look()

    def on_file_tree_above(self) -> None:
        tree = self.query_one(FileTree)
        tree.show_root_at(str(Path(tree.root_path).parent))

    # --- done ----------------------------------------------------------------------------------------------------

    @work(group="add", exclusive=True, exit_on_error=False)
    async def action_add(self) -> None:
        """Add what is chosen."""
        preview, watch = self.preview, self.query_one("#add-watch", Checkbox).value
        if preview is None:
            self.notify("still looking at what is chosen" if self.chosen.roots else "nothing is chosen yet")
            return
        wanted = self.chosen.wanted(preview)
        folders = choosing.folders_of(preview) if watch else []
        if not wanted and not folders:
            self.notify("there is nothing to read in what is chosen")
            return
        for folder in folders:
            leave_out = choosing.patterns(folder, self.chosen, subfolders=self.subfolders)
            await self.app.rag.watch_folder(folder, (), leave_out)
        if wanted:
            paths = choosing.to_ingest(self.chosen, preview, subfolders=self.subfolders)
            self.app.ingesting.add(self.app.rag, paths, [(each.path, each.size_bytes) for each in wanted])
        self.dismiss(True)

    def action_leave(self) -> None:
        """Close and add nothing."""
        self.dismiss(False)


def _content(summary: Summary) -> Content:
    """What would be read, and what would not."""
    lines: list[Content] = [Content.styled(summary.headline, "bold" if summary.wanted else "$text-warning")]
    lines += [Content(f"  {line}") for line in summary.formats]
    if summary.others:
        lines.append(Content(""))
        lines += [Content.styled(line, _FAINT) for line in summary.others]
    if summary.trouble:
        lines.append(Content(""))
        lines += [Content.styled(line, "$text-warning") for line in summary.trouble[:20]]
        if len(summary.trouble) > 20:
            lines.append(Content.styled(f"and {len(summary.trouble) - 20:,} more", "$text-warning"))
    return Content("\n").join(lines)
