"""The full-screen chat: screens, the keys that work everywhere, themes; the library opens after the first frame.

Nothing heavy is imported before the first frame: no numpy, no store, no model, no Markdown parser, no highlighter.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from termrag.config import Config
from termrag.errors import TermragError
from termrag.paths import Paths
from termrag.tui.screens.chat import ChatScreen
from termrag.tui.themes import DARK, LIGHT, load_themes

if TYPE_CHECKING:
    from termrag.rag import Rag


@dataclass(frozen=True, slots=True)
class Place:
    """A screen that a key and the palette open; `module` is below `termrag.tui.screens`."""

    id: str
    key: str
    title: str
    module: str
    screen: str
    help: str


# The screens beside the chat. Imported when they are first opened.
PLACES: tuple[Place, ...] = ()


class TermragApp(App[None]):
    """termrag on a whole terminal. `open_rag` is called after the first frame."""

    TITLE = "termrag"
    CSS_PATH = "termrag.tcss"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (90, "-medium"), (130, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (26, "-tall")]  # noqa: RUF012

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+p", "command_palette", "Palette", id="app.palette"),
        *(Binding(place.key, f"open('{place.id}')", place.title, id=f"app.{place.id}") for place in PLACES),
        Binding("f7", "toggle_dark", "Dark or light", id="app.dark", show=False),
        Binding("ctrl+q", "quit", "Quit", id="app.quit"),
    ]

    def __init__(self, config: Config, paths: Paths, open_rag: Callable[[Config, Paths], Rag]) -> None:
        super().__init__()
        self.config = config
        self.paths = paths
        self._open_rag = open_rag
        self._rag: Rag | None = None
        self._load_themes()

    # --- the library ---------------------------------------------------------------------------------------------

    @property
    def rag(self) -> Rag:
        """The façade, opened by whoever needs it first."""
        if self._rag is None:
            self._rag = self._open_rag(self.config, self.paths)
        return self._rag

    def get_default_screen(self) -> Screen[None]:
        return ChatScreen()

    def on_mount(self) -> None:
        self.call_after_refresh(self._warm)

    def _warm(self) -> None:
        """Import, off the loop, what the first question needs."""
        self.run_worker(lambda: importlib.import_module("termrag.rag"), thread=True, group="warm")

    async def on_unmount(self) -> None:
        if self._rag is not None:
            rag, self._rag = self._rag, None
            await rag.__aexit__(None, None, None)

    # --- screens and commands ------------------------------------------------------------------------------------

    def action_open(self, name: str) -> None:
        """Open a screen of the table."""
        for place in PLACES:
            if place.id == name:
                module = importlib.import_module(f"termrag.tui.screens.{place.module}")
                self.push_screen(getattr(module, place.screen)())

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the palette offers: every binding that has a name, here and on the screen."""
        for place in PLACES:
            yield SystemCommand(place.title, place.help, lambda name=place.id: self.action_open(name))
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.id and binding.description:
                yield SystemCommand(
                    binding.description,
                    f"key {self.get_key_display(binding)}",
                    lambda key=binding.key: self.simulate_key(key.split(",")[0]),
                )

    def show_error(self, error: TermragError) -> None:
        """An error as a toast: what happened, and what mends it."""
        self.notify(error.hint or "", title=error.message, severity="error", timeout=10, markup=False)

    # --- themes --------------------------------------------------------------------------------------------------

    def _load_themes(self) -> None:
        themes, self._wrong_themes = load_themes(self.paths.config / "themes")
        for theme in themes:
            self.register_theme(theme)
        names = {theme.name for theme in themes} | set(self.available_themes)
        chosen = self.config.tui.theme
        self.theme = chosen if chosen in names else DARK

    def action_toggle_dark(self) -> None:
        """Change between the dark and the light theme."""
        self.theme = LIGHT if self.current_theme.dark else DARK
