"""The full-screen chat: screens, the keys that work everywhere, themes; the library opens after the first frame.

Nothing heavy is imported before the first frame: no numpy, no store, no model, no Markdown parser, no highlighter.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import App, SuspendNotSupported, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import Worker, WorkerFailed, WorkerState

from termrag.config import Config
from termrag.errors import ConfigError, TermragError
from termrag.paths import Paths
from termrag.tui.screens.chat import ChatScreen
from termrag.tui.themes import DARK, LIGHT, load_themes

if TYPE_CHECKING:
    from termrag.rag import Rag
    from termrag.records import Passage


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

    def __init__(
        self, config: Config, paths: Paths, open_rag: Callable[[Config, Paths], Rag], *, on_light: bool = False
    ) -> None:
        super().__init__()
        self._on_light = on_light
        self._config = config
        self.paths = paths
        self._open_rag = open_rag
        self._rag: Rag | None = None
        self._load_themes()

    # --- the library ---------------------------------------------------------------------------------------------

    @property
    def rag(self) -> Rag:
        """The façade, opened by whoever needs it first."""
        if self._rag is None:
            self._rag = self._open_rag(self._config, self.paths)
        return self._rag

    def get_default_screen(self) -> Screen[None]:
        return ChatScreen()

    def on_mount(self) -> None:
        self.call_after_refresh(self._warm)
        for error in self._wrong_themes:
            self.report(error)

    def _warm(self) -> None:
        """Import, off the loop, what the first question needs."""
        needed = "termrag.remote" if "TERMRAG_CHAT_HOST" in os.environ else "termrag.rag"
        self.run_worker(lambda: importlib.import_module(needed), thread=True, group="warm")

    async def on_unmount(self) -> None:
        if self._rag is not None:
            rag, self._rag = self._rag, None
            await rag.__aexit__(None, None, None)

    @property
    def is_open(self) -> bool:
        """Whether the library has been opened yet."""
        return self._rag is not None

    @property
    def settings(self) -> Config:
        """The settings in force."""
        return self._rag.config if self._rag is not None else self._config

    @property
    def is_remote(self) -> bool:
        """Whether what is drawn goes over a network."""
        return self.is_web or "SSH_CONNECTION" in os.environ

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

    # --- what every screen may ask for ---------------------------------------------------------------------------

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.report(event.worker.error)

    def report(self, error: BaseException) -> None:
        """An error as a toast: what happened, and what mends it. A fault of termrag's own goes to the log as well."""
        if isinstance(error, WorkerFailed):
            error = error.error
        if isinstance(error, TermragError):
            self.notify(error.hint, title=error.message, severity="error", timeout=10, markup=False)
            return
        from termrag.logs import logger

        logger.error("unexpected error\n%s", "".join(traceback.format_exception(error)))
        hint = f"the details are in {self.paths.log_file}"
        self.notify(hint, title=f"unexpected error: {error}", severity="error", timeout=10, markup=False)

    @work(exit_on_error=False)
    async def copy_text(self, text: str) -> None:
        """Put a text on the user's clipboard, and say which way it went."""
        from termrag.tui import copying

        fallback = self.paths.state / "last-copy.txt"
        sent = await asyncio.to_thread(copying.send, text, in_browser=self.is_web, fallback=fallback)
        if sent.by_terminal:
            super().copy_to_clipboard(text)
        self.notify(sent.sentence(text), markup=False)

    def copy_to_clipboard(self, text: str) -> None:
        """What inputs and marked text are copied by."""
        self.copy_text(text)

    def save_text(self, text: str, name: Path) -> None:
        """Write a text to a new file in the working folder; in a browser it is downloaded."""
        if self.is_web:
            self.deliver_text(io.StringIO(text), save_filename=name.name)
            return
        file = _unused(Path.cwd() / name)
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            self.report(TermragError(f"{file} cannot be written: {error.strerror}", "cd ~ && termrag"))
        else:
            self.notify(f"written to {file}", markup=False)

    def open_outside(self, where: Passage, line: int) -> None:
        """Open a source in the user's editor, at the line, or in the system's viewer."""
        from termrag.tui import opening

        try:
            chosen = opening.opener(where, line)
            if chosen.takes_terminal:
                with self.suspend():
                    opening.launch(chosen)
            else:
                opening.launch(chosen)
        except TermragError as error:
            self.report(error)
        except (OSError, SuspendNotSupported) as error:
            self.report(TermragError(f"the file could not be opened: {error}", "export EDITOR=nano"))

    def open_source(self, passages: Sequence[Passage], index: int, quotes: Mapping[int, str]) -> None:
        """Show a passage where it stands in its document. `quotes` are the words that support an answer, by number."""
        from termrag.tui.screens.source import SourceScreen

        self.push_screen(SourceScreen(passages, index, quotes))

    def action_follow_link(self, target: str) -> None:
        """Open a link of an answer in the browser. Only web addresses: an answer may hold anything."""
        if target.startswith(("http://", "https://")):
            self.open_url(target)

    # --- themes --------------------------------------------------------------------------------------------------

    def _load_themes(self) -> None:
        themes, self._wrong_themes = load_themes(self.paths.config / "themes")
        for theme in themes:
            self.register_theme(theme)
        names = {theme.name for theme in themes} | set(self.available_themes)
        chosen = self._config.tui.theme
        fitting = LIGHT if self._on_light else DARK
        self.theme = chosen if chosen in names else fitting
        if chosen not in names and chosen != "auto":
            known = ", ".join(sorted(theme.name for theme in themes))
            self._wrong_themes.append(ConfigError(f"there is no theme {chosen}", f"themes: {known}"))

    def action_toggle_dark(self) -> None:
        """Change between the dark and the light theme, and keep it so."""
        self.theme = LIGHT if self.current_theme.dark else DARK
        self._keep_theme(self.theme)

    @work(group="theme", exclusive=True, exit_on_error=False)
    async def _keep_theme(self, name: str) -> None:
        await self.rag.change("tui", "theme", name)


def _unused(file: Path) -> Path:
    """The name itself, or with a number behind it where there is such a file already."""
    candidate, number = file, 2
    while candidate.exists():
        candidate = file.with_name(f"{file.stem}-{number}{file.suffix}")
        number += 1
    return candidate
