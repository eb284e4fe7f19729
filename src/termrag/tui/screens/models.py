"""Which model answers: those of the catalogue and the endpoint; fetched, chosen and removed without a restart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import Worker, WorkerState

from termrag.errors import TermragError
from termrag.records import ModelInfo
from termrag.tui.entries import bar
from termrag.tui.fuzzy import best
from termrag.tui.pulling import Pull, in_bytes
from termrag.tui.screens.pickers import Choice, LinePrompt, Picker
from termrag.tui.widgets.keyline import KeyLine

if TYPE_CHECKING:
    from termrag.tui.app import TermragApp

_FAINT = "$foreground 65%"
_DRAW_S = 0.2


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the catalogue, or, without `info`, one of the endpoint."""

    name: str
    info: ModelInfo | None = None

    @property
    def searched(self) -> str:
        return f"{self.name} {self.info.role} {self.info.description}" if self.info else f"{self.name} remote"


class ModelsScreen(ModalScreen[None]):
    """The models that there are."""

    app: TermragApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", id="models.close"),
        Binding("p", "pull", "Fetch", id="models.pull"),
        Binding("x", "stop", "Stop", id="models.stop"),
        Binding("d,delete", "remove", "Remove", id="models.remove"),
        Binding("o", "other", "By path", id="models.other"),
        Binding("r", "refresh_list", "Refresh", id="models.refresh", show=False),
        Binding("slash", "search", "Search", id="models.search", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._every: list[Entry] = []
        self.shown: list[Entry] = []
        self._endpoint = ""  # how the endpoint stands, where there is one

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = "Models"
            yield Input(placeholder="search models", id="models-query")
            yield OptionList(id="models-list")
            yield Static("Enter uses it; what is not here is fetched first", classes="hint")
            yield KeyLine()

    def on_mount(self) -> None:
        self._options.focus()
        self.set_interval(_DRAW_S, self._follow)
        self.load()

    @property
    def _options(self) -> OptionList:
        return self.query_one("#models-list", OptionList)

    @property
    def entry(self) -> Entry | None:
        """The model under the cursor."""
        index = self._options.highlighted
        return self.shown[index] if index is not None and index < len(self.shown) else None

    # --- what there is -------------------------------------------------------------------------------------------

    @work(group="models", exclusive=True, exit_on_error=False)
    async def load(self) -> None:
        """Read what is here; then what the endpoint has."""
        rag = self.app.rag
        known = sorted(await rag.models(), key=lambda info: info.role != "chat")
        entries = [Entry(info.name, info) for info in known]
        chat = self.app.settings.models.chat
        if chat not in {entry.name for entry in entries}:
            entries.insert(0, Entry(chat, await self._by_path(chat)))
        self._take(entries)
        if not self.app.settings.openai.url:
            return
        try:
            reached = await rag.reach_endpoint()
        except TermragError as error:
            self._tell_endpoint(error.message)
            return
        self._take([*entries, *(Entry(name) for name in reached.models)])
        self._tell_endpoint(f"{reached.url}: {reached.milliseconds:.0f} ms")

    async def _by_path(self, name: str) -> ModelInfo:
        try:
            return await self.app.rag.model(name)
        except TermragError as error:
            return ModelInfo(name, "chat", "", error.message, 0, (), {}, active=True)

    def _tell_endpoint(self, text: str) -> None:
        self._endpoint = text
        self.query_one(".dialog").border_subtitle = Content(text)

    def _take(self, entries: list[Entry]) -> None:
        self._every = entries
        self._list()

    def _list(self) -> None:
        at = self.entry
        query = self.query_one("#models-query", Input).value
        self.shown = best(query, self._every, lambda entry: entry.searched, len(self._every))
        self._options.clear_options()
        self._options.add_options([Option(self._content(entry)) for entry in self.shown])
        names = [entry.name for entry in self.shown]
        wanted = at.name if at is not None else next((e.name for e in self.shown if self._is_used(e)), "")
        self._options.highlighted = names.index(wanted) if wanted in names else (0 if names else None)

    def _is_used(self, entry: Entry) -> bool:
        settings = self.app.settings
        is_remote = settings.models.engine == "openai"
        if entry.info is None:
            return is_remote and settings.openai.model == entry.name
        if entry.info.role == "embedding":
            return settings.models.embedding == entry.name
        return not is_remote and settings.models.chat == entry.name

    def _content(self, entry: Entry) -> Content:
        used = self._is_used(entry)
        parts: list[Any] = [("● " if used else "  ", "$text-success"), (f"{entry.name:<24} ", "bold" if used else "")]
        info = entry.info
        if info is None:
            return Content.assemble(
                *parts, ("remote", "$text-accent"), (f"\n    {self.app.settings.openai.url}", _FAINT)
            )
        pull = self.app.pulls.get(entry.name)
        state, style = self._state(info, pull)
        size = in_bytes(info.size_bytes) if info.size_bytes else ""
        parts += [(f"{state:<10} ", style), (f"{size:>9}", _FAINT), "\n    "]
        if pull is not None and pull.is_running:
            words = f"{bar(pull.share, 20)} {100 * pull.share:.0f} %  {in_bytes(pull.done_bytes)}"
            parts.append((pull.what or words, "$text-secondary"))
        elif pull is not None and pull.error is not None:
            parts.append((pull.error.message, "$text-error"))
        else:
            said = " · ".join(each for each in (info.role, info.licence, info.description) if each)
            parts.append((said, _FAINT))
        return Content.assemble(*parts)

    def _state(self, info: ModelInfo, pull: Pull | None) -> tuple[str, str]:
        if pull is not None and pull.is_running:
            return "fetching", "$text-secondary"
        if info.is_here:
            loaded = self.app.rag.loaded_model == info.name
            return ("in memory" if loaded else "here"), "$text-success"
        return ("stopped" if pull is not None and pull.done_bytes and not pull.is_done else "not here"), _FAINT

    def _follow(self) -> None:
        """Draw how far the models are that are fetched."""
        for index, entry in enumerate(self.shown):
            pull = self.app.pulls.get(entry.name)
            if pull is not None and pull.is_running:
                self._options.replace_option_prompt_at_index(index, self._content(entry))

    # --- what is done --------------------------------------------------------------------------------------------

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._list()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_use()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_use()

    def action_use(self) -> None:
        """Let the model answer from the next question on; one that is not here is fetched first."""
        entry = self.entry
        if entry is None:
            return
        if entry.info is not None and not entry.info.is_here:
            self.app.use_when_fetched(entry.info)
        else:
            self._use(entry)

    @work(group="use", exit_on_error=False)
    async def _use(self, entry: Entry) -> None:
        if entry.info is None:
            await self.app.rag.use_remote(entry.name)
        else:
            await self.app.rag.use(entry.name)
        self.notify(f"{entry.name} answers from the next question on", markup=False)
        self._list()

    def action_pull(self) -> None:
        """Fetch the model."""
        entry = self.entry
        if entry is not None and entry.info is not None and not entry.info.is_here:
            self.app.pulls.start(entry.name, entry.info.size_bytes, self.app.models_changed)

    def action_stop(self) -> None:
        """Stop fetching; it goes on from there the next time."""
        entry = self.entry
        if entry is not None and self.app.pulls.stop(entry.name):
            self.notify(f"{entry.name}: stopped. Fetching it again goes on from here", markup=False)

    @work(group="remove", exit_on_error=False)
    async def action_remove(self) -> None:
        """Delete the model's files, after a question."""
        entry = self.entry
        if entry is None or entry.info is None or not entry.info.is_here:
            return
        choices = [Choice("no", "Keep it"), Choice("yes", f"Remove {entry.name}", in_bytes(entry.info.size_bytes))]
        chosen = await self.app.push_screen_wait(Picker("Remove this model?", choices))
        if chosen is not None and chosen.id == "yes":
            freed = await self.app.rag.remove_model(entry.name)
            self.notify(f"{entry.name} is removed, {in_bytes(freed)} freed", markup=False)
            self.load()

    @work(group="use", exit_on_error=False)
    async def action_other(self) -> None:
        """Use a GGUF file or an MLX folder."""
        path = await self.app.push_screen_wait(LinePrompt("Path of a GGUF file or MLX folder"))
        if path:
            await self.app.rag.use(path)
            self.notify(f"{path} answers from the next question on", markup=False)
            self.load()

    def action_refresh_list(self) -> None:
        """Look again."""
        self.load()

    def action_search(self) -> None:
        """Type what to search for."""
        self.query_one("#models-query").focus()

    def action_leave(self) -> None:
        """Close; what is fetched goes on."""
        query = self.query_one("#models-query", Input)
        if query.has_focus:
            query.value = ""
            self._options.focus()
        else:
            self.dismiss()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.app.report(event.worker.error)
