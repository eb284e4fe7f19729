"""A path to type, completed by Tab; a tree of files to choose from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rich.style import Style as RichStyle
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.style import Style
from textual.widgets import Checkbox, Input, Tree
from textual.widgets.tree import TreeNode

from termrag.candidates import FolderEntry
from termrag.tui.dropped import may_be_paths
from termrag.tui.listing import clean, fitted, size_text

_MOST_SHOWN = 1000


class PathInput(Input):
    """One line for a path."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "Complete", id="path.complete", show=False),
        Binding("down", "screen.to_tree", "To the files", id="path.down", show=False),
    ]

    class Completed(Message):
        """The path up to the cursor is to be completed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Dropped(Message):
        """Text was pasted that may be the paths of dropped files."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Emptied(Message):
        """Backspace was pressed where nothing is typed."""

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        if may_be_paths(event.text):
            self.post_message(self.Dropped(event.text))
        else:
            self.insert_text_at_cursor(clean(event.text.strip()))

    def action_complete(self) -> None:
        """Complete the path; where there is nothing to complete, on to what comes next."""
        if self.value and self.cursor_position == len(self.value):
            self.post_message(self.Completed(self.value))
        else:
            self.screen.focus_next()

    def action_delete_left(self) -> None:
        """Delete a letter; where there is none, what was chosen last."""
        if not self.value:
            self.post_message(self.Emptied())
        super().action_delete_left()


class Switch(Checkbox):
    """A check box whose sign, not its colour alone, tells whether it is on."""

    def on_mount(self) -> None:
        self.BUTTON_INNER = "✓" if self.value else " "

    def watch_value(self) -> None:
        self.BUTTON_INNER = "✓" if self.value else " "
        super().watch_value()


@dataclass(frozen=True, slots=True)
class Leaf:
    """A node: an absolute path, and what there is of it; `entry` None stands for what is not shown."""

    path: str
    entry: FolderEntry | None


class FileTree(Tree[Leaf]):
    """Folders and files. `mark` says whether a path is chosen; folders are asked for when they are opened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.add", "Add", id="tree.add", show=False),
        Binding("space", "choose", "Choose", id="tree.choose"),
        Binding("right,l", "open", "Open folder", id="tree.open", show=False),
        Binding("left,h", "shut", "Close folder", id="tree.shut", show=False),
        Binding("backspace", "above", "Folder above", id="tree.above", show=False),
    ]

    class Chosen(Message):
        """A path is to be chosen, or let go."""

        def __init__(self, path: str) -> None:
            super().__init__()
            self.path = path

    class Wanted(Message):
        """What is in a folder is to be shown below its node."""

        def __init__(self, node: TreeNode[Leaf]) -> None:
            super().__init__()
            self.node = node

    class Above(Message):
        """The folder above is to be shown."""

    def __init__(self, mark: Callable[[str], bool], **options: Any) -> None:
        super().__init__("", **options)
        self._mark = mark
        self.guide_depth = 2
        self.root_path = ""

    def show_root_at(self, path: str) -> None:
        """Show another folder."""
        self.root_path = path
        self.reset(Text(clean(_from_home(path))), Leaf(path, FolderEntry(path, True)))
        self.root.allow_expand = True
        self.root.expand()

    def fill(self, node: TreeNode[Leaf], entries: list[FolderEntry]) -> None:
        """Put what is in a folder below its node."""
        node.remove_children()
        if node.data is None:
            return
        for entry in entries[:_MOST_SHOWN]:
            path = f"{node.data.path.rstrip('/')}/{entry.name}"
            child = node.add(Text(clean(entry.name)), Leaf(path, entry), allow_expand=entry.is_folder)
            child.allow_expand = entry.is_folder
        if len(entries) > _MOST_SHOWN:
            more = f"… {len(entries) - _MOST_SHOWN:,} more: type a path"
            node.add(Text(more), Leaf(node.data.path, None), allow_expand=False)

    def marks_changed(self) -> None:
        """Draw the marks again."""
        self._line_cache.clear()
        self._invalidate()
        self.refresh()

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Leaf]) -> None:
        event.stop()
        if not event.node.children:
            self.post_message(self.Wanted(event.node))

    def action_choose(self) -> None:
        """Choose the file or folder, or let it go."""
        node = self.cursor_node
        if node is not None and node.data is not None and node.data.entry is not None:
            self.post_message(self.Chosen(node.data.path))

    def action_open(self) -> None:
        """Show what is in the folder."""
        if self.cursor_node is not None and self.cursor_node.allow_expand:
            self.cursor_node.expand()

    def action_shut(self) -> None:
        """Close the folder, or go to the one above."""
        node = self.cursor_node
        if node is not None and node.allow_expand and node.is_expanded and node is not self.root:
            node.collapse()
        elif node is not None and node.parent is not None:
            self.move_cursor(node.parent)
        else:
            self.post_message(self.Above())

    def action_above(self) -> None:
        """Show the folder above."""
        self.post_message(self.Above())

    def render_label(self, node: TreeNode[Leaf], base_style: RichStyle, style: RichStyle) -> Text:
        leaf = node.data
        if leaf is None or leaf.entry is None:
            return Text.assemble((node.label.plain if isinstance(node.label, Text) else str(node.label), style))
        faint = Style.parse("$foreground 55%").rich_style if self.is_attached else base_style
        is_left_out = bool(leaf.entry.left_out)
        box = "  " if is_left_out else "☑ " if self._mark(leaf.path) else "☐ "
        icon = ("▾ " if node.is_expanded else "▸ ") if leaf.entry.is_folder else ""
        note = leaf.entry.left_out or ("" if leaf.entry.is_folder else size_text(leaf.entry.size_bytes))
        room = max(self.size.width - 3 - len(icon) - len(box) - len(note) - self.guide_depth * _depth(node), 8)
        name = _from_home(leaf.path) if node is self.root else leaf.entry.name
        name = fitted(clean(name), room, cut="start" if node is self.root else "name").rstrip()
        look = style + faint if is_left_out else style
        return Text.assemble((icon, style), (box, style), (name, look), (f"  {note}", style + faint))


def _depth(node: TreeNode[Leaf]) -> int:
    depth = 0
    while node.parent is not None:
        node, depth = node.parent, depth + 1
    return depth


def _from_home(path: str) -> str:
    """A path as people write it."""
    home = str(Path.home())
    return f"~{path[len(home) :]}" if f"{path}/".startswith(f"{home}/") else path
