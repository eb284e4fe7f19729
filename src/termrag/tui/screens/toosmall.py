"""What a terminal shows that is too small for anything else; all goes on behind it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static

from termrag.tui.screens import LEAST, is_too_small


class TooSmallScreen(ModalScreen[None]):
    """Says how large the terminal should be, until it is."""

    def compose(self) -> ComposeResult:
        yield Static(id="too-small")

    def on_mount(self) -> None:
        self._look()

    def on_resize(self) -> None:
        self._look()

    def on_screen_resume(self) -> None:
        self._look()

    def _look(self) -> None:
        size = self.app.size
        if not is_too_small(size) and self.is_current:
            self.dismiss()
            return
        needed = f"{LEAST.width}×{LEAST.height}"
        self.query_one("#too-small", Static).update(f"termrag needs {needed}\nnow {size.width}×{size.height}")
