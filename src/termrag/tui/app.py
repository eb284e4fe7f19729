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
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import App, SuspendNotSupported, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.screen import Screen
from textual.worker import Worker, WorkerFailed, WorkerState

from termrag.config import Config
from termrag.errors import ConfigError, TermragError
from termrag.paths import Paths
from termrag.tui.remedies import remedy
from termrag.tui.screens import is_too_small
from termrag.tui.screens.chat import ChatScreen
from termrag.tui.themes import ANSI, DARK, LIGHT, load_themes
from termrag.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from termrag.rag import Rag
    from termrag.records import ModelInfo, Passage
    from termrag.tui.ingesting import IngestQueue
    from termrag.tui.keeping import FolderWatch
    from termrag.tui.pulling import Pulls


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
PLACES: tuple[Place, ...] = (
    Place("help", "f1", "Help", "help", "HelpScreen", "Every key that does something here"),
    Place("settings", "f2", "Settings", "settings", "SettingsScreen", "Every setting, explained and changed at once"),
    Place("models", "f6", "Models", "models", "ModelsScreen", "Which model answers; fetch, choose and remove"),
    Place("documents", "ctrl+o", "Documents", "documents", "DocumentsScreen", "Add, look at and remove documents"),
)


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
        # With NO_COLOR no colour at all: otherwise Textual would only turn colours into greys.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self._on_light = on_light
        self._config = config
        self.paths = paths
        self._open_rag = open_rag
        self._rag: Rag | None = None
        self._ingesting: IngestQueue | None = None
        self._watching: FolderWatch | None = None
        self._load_themes()
        self._css_variables = self.get_css_variables()  # those that the rules were read with
        self.stylesheet.set_variables(self._css_variables)
        self._load_keys()

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
        self.call_after_refresh(self._read_other_styles)
        self.call_after_refresh(self._warm)
        for error in (*self._wrong_themes, *self._wrong_keys):
            self.report(error)
        if self._keymap:
            self._check_keys()

    def _read_other_styles(self) -> None:
        self.stylesheet.read(Path(__file__).with_name("screens.tcss"))

    def refresh_css(self, animate: bool = True) -> None:
        """Textual reads all rules again whenever a theme is set. Of the first time, which is before the first frame, it
        has read them a moment before."""
        variables = self.get_css_variables()
        if variables == self._css_variables:
            self.stylesheet.update(self, animate=animate)
        else:
            self._css_variables = variables
            super().refresh_css(animate)

    def _warm(self) -> None:
        """Import, off the loop, what the first question needs."""
        needed = "termrag.remote" if "TERMRAG_CHAT_HOST" in os.environ else "termrag.rag"
        self.run_worker(lambda: importlib.import_module(needed), thread=True, group="warm")

    def _load_keys(self) -> None:
        self._wrong_keys: list[ConfigError] = []
        if self.paths.keys_file.exists():
            from termrag.tui.keys import read_keys

            try:
                self.set_keymap(read_keys(self.paths.keys_file))
            except ConfigError as error:
                self._wrong_keys.append(error)

    @work(exit_on_error=False)
    async def _check_keys(self) -> None:
        """Say what is wrong with the user's keys; those that are right hold."""
        from termrag.tui.keys import every_key, problems

        for problem in problems(dict(self._keymap), await asyncio.to_thread(every_key)):
            self.report(ConfigError(f"{self.paths.keys_file.name}: {problem}", f"$EDITOR {self.paths.keys_file}"))

    async def on_unmount(self) -> None:
        if self._ingesting is not None:
            await self._ingesting.close()
        if self._watching is not None:
            await self._watching.stop()
        if self._rag is not None:
            rag, self._rag = self._rag, None
            await rag.__aexit__(None, None, None)

    @property
    def ingesting(self) -> IngestQueue:
        """Files on their way into the library."""
        if self._ingesting is None:
            from termrag.tui.ingesting import IngestQueue

            self._ingesting = IngestQueue(self._tell_of_ingest, self.report)
        return self._ingesting

    @property
    def ingest_summary(self) -> str:
        """How far the files are that come in; empty if none are."""
        return self._ingesting.summary() if self._ingesting is not None else ""

    @property
    def watching(self) -> FolderWatch:
        """The watched folders, as far as this app keeps them in the library."""
        if self._watching is None:
            from termrag.tui.keeping import FolderWatch

            self._watching = FolderWatch(self.ingesting.noticed, self.report)
        return self._watching

    @cached_property
    def pulls(self) -> Pulls:
        """Models on their way to this machine."""
        from termrag.tui.pulling import Pulls

        return Pulls(self)

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
        """What the palette offers: whatever a key does, here and in every pane of the screen."""
        from termrag.tui.screens.help import lines_of

        places = {f"app.{place.id}": place.help for place in PLACES}
        yield SystemCommand("Theme", "Choose one, shown while the cursor is on it", self.action_theme)
        for line in lines_of(screen):
            if line.binding is not None and line.binding.action != "command_palette":
                said = places.get(line.binding.id or "", line.group)
                yield SystemCommand(
                    line.description,
                    f"{said} · key {line.keys}",
                    lambda line=line: self.call_later(self.run_action, line.binding.action, line.node),
                )

    def get_key_display(self, binding: Binding) -> str:
        """Keys as they stand on a keyboard."""
        from termrag.tui.keys import in_words

        return binding.key_display or in_words(binding.key, super().get_key_display(binding))

    def key_of(self, name: str) -> str:
        """The key of an action by its id, as it stands in a sentence: the user's own if there is one."""
        from termrag.tui.keys import in_prose, usual_key

        usual = usual_key(name, [TermragApp, ChatScreen, Transcript, *map(type, self.screen_stack)])
        return in_prose(self._keymap.get(name, usual).split(",")[0])

    def on_resize(self, event: Resize) -> None:
        """A terminal that is too small says so, and all goes on."""
        if is_too_small(event.size):
            from termrag.tui.screens.toosmall import TooSmallScreen

            if not isinstance(self.screen, TooSmallScreen):
                self.push_screen(TooSmallScreen())

    # --- what every screen may ask for ---------------------------------------------------------------------------

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.report(event.worker.error)

    def report(self, error: BaseException, *, asked: bool = False) -> None:
        """An error as a toast: what happened, and the keys that mend it; `asked` if a question waits for its answer. A
        fault of termrag's own goes to the log as well."""
        if isinstance(error, WorkerFailed):
            error = error.error
        if isinstance(error, TermragError):
            steps = remedy(error, self.key_of, asked=asked)
            self.notify(steps, title=error.message, severity="error", timeout=10, markup=False)
            return
        from termrag.logs import logger

        logger.error("unexpected error\n%s", "".join(traceback.format_exception(error)))
        hint = f"the details are in {self.paths.log_file}"
        self.notify(hint, title=f"unexpected error: {error}", severity="error", timeout=10, markup=False)

    def _tell_of_ingest(self, sentence: str, went_well: bool) -> None:
        if self.is_running:
            self.notify(sentence, severity="information" if went_well else "warning", markup=False)
            for chat in self._chats:
                chat.look()

    def limit_to(self, documents: Sequence[tuple[str, str]]) -> None:
        """Limit the questions of the chat to documents, by (id, name)."""
        for chat in self._chats:
            chat.limit_to(documents)

    @property
    def _chats(self) -> list[ChatScreen]:
        return [screen for screen in self.screen_stack if isinstance(screen, ChatScreen)]

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
        from termrag.tui import copying

        try:
            file = copying.write_new(Path.cwd() / name, text)
        except OSError as error:
            self.report(TermragError(f"{name} cannot be written here: {error.strerror}", "cd ~ && termrag"))
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

    # --- models --------------------------------------------------------------------------------------------------

    def use_when_fetched(self, info: ModelInfo) -> None:
        """Fetch a model, and let it answer from then on."""
        self.pulls.start(info.name, info.size_bytes, lambda: self._use(info.name))

    @work(exit_on_error=False)
    async def _use(self, name: str) -> None:
        await self.rag.use(name)
        self.notify(f"{name} is here and answers from the next question on", markup=False)
        self.models_changed()

    def models_changed(self) -> None:
        """Another model is here, or in use: show it."""
        from termrag.tui.screens.models import ModelsScreen

        for screen in self.screen_stack:
            if isinstance(screen, ModelsScreen):
                screen.load()
            elif isinstance(screen, ChatScreen):
                screen.look()

    # --- themes --------------------------------------------------------------------------------------------------

    def _load_themes(self) -> None:
        themes, self._wrong_themes = load_themes(self.paths.config / "themes")
        for theme in themes:
            self.register_theme(theme)
        # Beside ours, of those that Textual has, the two that use the terminal's own colours.
        self.theme_names = {theme.name for theme in themes} | (set(ANSI) & set(self.available_themes))
        chosen = self._config.tui.theme
        self.show_theme(chosen)
        if chosen not in self.available_themes and chosen != "auto":
            known = ", ".join(sorted(theme.name for theme in themes))
            self._wrong_themes.append(ConfigError(f"there is no theme {chosen}", f"themes: {known}"))

    def show_theme(self, name: str) -> None:
        """Draw in a theme; in the one that fits the terminal for `auto`, and for one that there is not. A terminal of
        sixteen colours keeps its own, which its user has chosen to go together."""
        dark, light = ANSI if self.console.color_system == "standard" else (DARK, LIGHT)
        fitting = light if self._on_light else dark
        self.theme = name if name in self.available_themes else fitting

    async def pick_theme(self) -> str | None:
        """Let a theme be chosen, each shown under the cursor; None if the old one shall stay. From a worker."""
        from termrag.tui.screens.pickers import Choice, Picker

        before = self.theme
        names = sorted(self.theme_names)
        kinds = ["dark" if self.available_themes[name].dark else "light" for name in names]
        choices = [Choice(name, name, kind, name == before) for name, kind in zip(names, kinds, strict=True)]
        choices.insert(0, Choice("auto", "auto", "dark or light as the terminal is"))
        picker = Picker("Theme", choices, hint="↑↓ shows it   Enter keeps it   Esc goes back", begin=before)
        picker.looked_at = lambda choice: self.show_theme(choice.id)
        chosen = await self.push_screen_wait(picker)
        if chosen is None:
            self.theme = before
        return chosen.id if chosen is not None else None

    @work(exit_on_error=False)
    async def action_theme(self) -> None:
        """Choose a theme, and keep it."""
        if chosen := await self.pick_theme():
            self.show_theme(chosen)
            self._keep_theme(chosen)

    def settings_changed(self) -> None:
        """Show what settings say of the screen."""
        self.show_theme(self.settings.tui.theme)
        for screen in self.screen_stack:
            if isinstance(screen, ChatScreen):
                screen.transcript.set_reading_width(self.settings.tui.reading_width)

    def action_toggle_dark(self) -> None:
        """Change between the dark and the light theme, and keep it so."""
        self.theme = LIGHT if self.current_theme.dark else DARK
        self._keep_theme(self.theme)

    @work(group="theme", exclusive=True, exit_on_error=False)
    async def _keep_theme(self, name: str) -> None:
        await self.rag.change("tui", "theme", name)
