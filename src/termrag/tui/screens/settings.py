"""Every setting on one screen: searched, explained, changed and kept at once; an invalid value is told in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import Worker, WorkerState

from termrag.errors import TermragError
from termrag.tui import options
from termrag.tui.options import Row
from termrag.tui.screens.pickers import Choice, LinePrompt, Picker
from termrag.tui.widgets.keyline import KeyLine

if TYPE_CHECKING:
    from termrag.tui.app import TermragApp

_FAINT = "$foreground 65%"
_LABEL = 27  # cells of a setting's name
_SHOWN_BY_MODELS = ("models.chat", "models.embedding")


class SettingsScreen(Screen[None]):
    """All settings, their search, and what the one under the cursor means. `at` is the section to begin at."""

    app: TermragApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", id="settings.close"),
        Binding("slash", "search", "Search", id="settings.search"),
        Binding("left", "step(-1)", "Less", id="settings.less", show=False),
        Binding("right", "step(1)", "More", id="settings.more", show=False),
        Binding("u", "reset", "Default", id="settings.reset"),
        Binding("t", "test", "Test connection", id="settings.test"),
    ]

    def __init__(self, at: str = "") -> None:
        super().__init__()
        self._at = at
        self._every = options.rows()
        self._rows: list[Row | None] = []  # one per line of the list; None for the name of a group
        self._told = Content("")  # what the last change or test brought
        self._editing: Row | None = None

    def compose(self) -> ComposeResult:
        yield Input(placeholder="search settings", id="settings-query")
        with Horizontal(id="settings-body"):
            yield OptionList(id="settings-list")
            with VerticalScroll(id="settings-side", can_focus=False):
                yield Static(id="settings-about")
                yield Input(id="settings-value")
                yield Static(id="settings-told")
        yield KeyLine()

    def on_mount(self) -> None:
        self.query_one("#settings-value").display = False
        self.query_one("#settings-body").border_title = "Settings"
        self.query_one("#settings-body").border_subtitle = str(self.app.paths.config_file)
        self._list("")
        start = next((i for i, row in enumerate(self._rows) if row is not None and row.section == self._at), 1)
        self._options.highlighted = start
        self._options.focus()

    @property
    def _options(self) -> OptionList:
        return self.query_one("#settings-list", OptionList)

    @property
    def row(self) -> Row | None:
        """The setting under the cursor."""
        index = self._options.highlighted
        return self._rows[index] if index is not None and index < len(self._rows) else None

    # --- drawing -------------------------------------------------------------------------------------------------

    def _list(self, query: str) -> None:
        lines: list[Option] = []
        self._rows = []
        group = ""
        for row in options.fitting(query, self._every):
            if row.group != group:
                group = row.group
                self._rows.append(None)
                lines.append(Option(Content.styled(group, "bold $text-primary"), disabled=True))
            self._rows.append(row)
            lines.append(Option(self._line(row)))
        self._options.clear_options()
        self._options.add_options(lines)
        self._options.highlighted = 1 if lines else None
        self._explain()

    def _value(self, row: Row) -> str:
        if row.name == options.API_KEY:
            return self.app.rag.api_key
        return options.shown(options.value_of(row, self.app.settings))

    def _line(self, row: Row) -> Content:
        value = self._value(row)
        changed = row.setting is not None and options.value_of(row, self.app.settings) != row.setting.default
        style = "bold $text-accent" if changed else ""
        return Content.assemble(f"  {row.label:<{_LABEL}}", (value or "—", style if value else _FAINT))

    def _redraw(self) -> None:
        """Show the values in force; one change may bring another along."""
        for index, row in enumerate(self._rows):
            if row is not None:
                self._options.replace_option_prompt_at_index(index, self._line(row))
        self._explain()

    def _explain(self) -> None:
        row = self.row
        self.query_one("#settings-about", Static).update(self._about(row) if row is not None else "no such setting")
        self.query_one("#settings-told", Static).update(self._told)

    def _about(self, row: Row) -> Content:
        parts: list[Any] = [(row.label, "bold $text-primary"), f"\n{row.doc}\n"]
        if row.setting is not None:
            default = options.shown(row.setting.default) or "empty"
            limits = options.range_of(row.setting)
            parts += [(f"\nAllowed: {limits}" if limits else "", _FAINT), (f"\nDefault: {default}", _FAINT)]
        elif self.app.rag.is_api_key_given:
            parts.append(("\nThe environment names the key now.", "$text-warning"))
        parts.append((f"\n{options.when(row)}\n{row.name}", _FAINT))
        return Content.assemble(*parts, "\n")

    def _tell(self, text: str, style: str = "$text-success") -> None:
        self._told = Content.styled(text, style)
        self._explain()

    def _complain(self, error: TermragError) -> None:
        self._tell(f"{error.message}\n{error.hint}".strip(), "$text-error")

    # --- moving about --------------------------------------------------------------------------------------------

    @on(Input.Changed, "#settings-query")
    def _search(self, event: Input.Changed) -> None:
        event.stop()
        self._told = Content("")
        self._list(event.value)

    @on(Input.Submitted, "#settings-query")
    def _found(self, event: Input.Submitted) -> None:
        event.stop()
        self._options.focus()

    def on_key(self, event: events.Key) -> None:
        if event.key == "down" and self.focused is self.query_one("#settings-query"):
            event.stop()
            self._options.focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if self._editing is not None and self.row is not self._editing:
            self._stop_editing()
        self._told = Content("") if self.focused is self._options else self._told
        self._explain()

    def action_search(self) -> None:
        """Type words to search for."""
        self.query_one("#settings-query").focus()

    def action_leave(self) -> None:
        """Give up what is being typed; then back."""
        query = self.query_one("#settings-query", Input)
        if self._editing is not None:
            self._stop_editing()
        elif query.value or self.focused is query:
            query.value = ""
            self._options.focus()
        else:
            self.dismiss()

    def on_screen_resume(self) -> None:
        if self._rows:
            self._redraw()

    # --- changing ------------------------------------------------------------------------------------------------

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Change the setting in the way that fits it."""
        event.stop()
        row = self.row
        if row is None:
            return
        setting = row.setting
        if setting is None:
            self._type_key()
        elif row.name == options.THEME:
            self._choose_theme()
        elif row.name in _SHOWN_BY_MODELS:
            self.app.action_open("models")
        elif row.name == "openai.model":
            self._choose_remote_model(row)
        elif setting.kind is bool:
            self._change(row, not options.value_of(row, self.app.settings))
        elif setting.one_of:
            self._choose(row, [Choice(each, each or "(empty)") for each in setting.one_of])
        else:
            self._edit(row)

    def action_step(self, by: int) -> None:
        """The next value up or down."""
        row = self.row
        if row is None or self.focused is not self._options:
            return
        if row.name == options.THEME:
            names = sorted(self.app.theme_names)
            self._change(row, names[(names.index(self.app.theme) + by) % len(names)])
            return
        value = options.value_of(row, self.app.settings)
        moved = options.stepped(row, value, by)
        if moved != value:
            self._change(row, moved)

    def action_reset(self) -> None:
        """Let the default hold again."""
        if self.row is not None:
            self._reset(self.row)

    @work(group="change", exit_on_error=False)
    async def _reset(self, row: Row) -> None:
        if row.setting is None:
            await self.app.rag.set_api_key("")
            self._tell("The key is forgotten.")
        else:
            try:
                await self.app.rag.reset(row.section, row.setting.key)
            except TermragError as error:
                self._complain(error)
                return
            self.app.settings_changed()
            self._tell("The default holds again.")
        self._redraw()

    @work(group="change", exit_on_error=False)
    async def _change(self, row: Row, value: object) -> None:
        await self._put(row, value)

    async def _put(self, row: Row, value: object) -> bool:
        """Change and keep a setting; False if it was refused."""
        assert row.setting is not None
        try:
            await self.app.rag.change(row.section, row.setting.key, value)
        except TermragError as error:
            self._complain(error)
            return False
        self.app.settings_changed()
        self._tell("Saved.")
        self._redraw()
        return True

    def _edit(self, row: Row) -> None:
        """Let the value be typed, in place."""
        self._editing = row
        value = self.query_one("#settings-value", Input)
        value.value = self._value(row)
        value.display = True
        value.focus()
        self._tell("Enter keeps it, Esc gives up", _FAINT)

    def _stop_editing(self) -> None:
        self._editing = None
        self.query_one("#settings-value").display = False
        self._told = Content("")
        self._options.focus()
        self._explain()

    @on(Input.Submitted, "#settings-value")
    async def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        row = self._editing
        if row is None:
            return
        try:
            value = options.parsed(row, event.value)
        except TermragError as error:
            self._complain(error)
            return
        if await self._put(row, value):
            told = self._told
            self._stop_editing()
            self._told = told
            self._explain()

    @work(exit_on_error=False)
    async def _choose(self, row: Row, choices: list[Choice]) -> None:
        chosen = await self.app.push_screen_wait(Picker(row.label, choices))
        if chosen is not None:
            await self._put(row, chosen.id)

    @work(exit_on_error=False)
    async def _choose_theme(self) -> None:
        row, chosen = self.row, await self.app.pick_theme()
        if chosen is not None and row is not None:
            await self._put(row, chosen)

    @work(exit_on_error=False)
    async def _choose_remote_model(self, row: Row) -> None:
        """Those that the endpoint lists; typed, where it does not answer."""
        try:
            reached = await self.app.rag.reach_endpoint()
        except TermragError:
            self._edit(row)
            return
        chosen = await self.app.push_screen_wait(Picker("Model", [Choice(name, name) for name in reached.models]))
        if chosen is not None:
            await self._put(row, chosen.id)

    @work(exit_on_error=False)
    async def _type_key(self) -> None:
        key = await self.app.push_screen_wait(LinePrompt("API key", secret=True))
        if key is not None:
            await self.app.rag.set_api_key(key)
            self._tell(f"The key is kept in {self.app.paths.api_key_file}.")
            self._redraw()

    # --- the connection ------------------------------------------------------------------------------------------

    @work(group="test", exclusive=True, exit_on_error=False)
    async def action_test(self) -> None:
        """Ask the endpoint whether it is there, and with which models."""
        if not self.app.settings.openai.url:
            self._tell("There is no URL yet: Connection, URL.", "$text-warning")
            return
        self._tell(f"asking {self.app.settings.openai.url} …", _FAINT)
        try:
            reached = await self.app.rag.reach_endpoint()
        except TermragError as error:
            self._complain(error)
            return
        count = f"{len(reached.models)} model" + ("" if len(reached.models) == 1 else "s")
        names = "\n".join(f"  {name}" for name in reached.models[:12])
        self._tell(f"● reachable, {reached.milliseconds:.0f} ms, {count}\n{names}")

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.app.report(event.worker.error)
