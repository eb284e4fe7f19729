"""From nothing to the first answer in three steps: a model, a folder, a question. Each may be left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.suggester import Suggester
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import Worker, WorkerState

from termrag.errors import TermragError
from termrag.events import Finished, IngestEvent, Progress
from termrag.records import ModelInfo
from termrag.tui.entries import bar
from termrag.tui.pulling import Pull, in_bytes
from termrag.tui.screens.pickers import Choice, LinePrompt, Picker
from termrag.tui.widgets.keyline import KeyLine

if TYPE_CHECKING:
    from termrag.tui.app import TermragApp

_FAINT = "$foreground 65%"
_DRAW_S = 0.2
_TITLES = ("Choose a model", "Add a folder or a file", "Ask")


class FirstRunScreen(Screen[str | None]):
    """The three steps. Gives back the first question, or None if it was left out."""

    app: TermragApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Skip all", id="first.skip"),
        Binding("tab", "app.focus_next", "Next step", id="first.next"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.models: list[ModelInfo] = []
        self.done = [False, False, False]
        self._said = ["", "", ""]
        self._failed = [False, False, False]
        self._pulls: list[Pull] = []

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="first", can_focus=False):
            yield Static(_heading(), id="first-heading")
            for step in range(3):
                yield Static(id=f"first-step-{step}", classes="first-step")
                if step == 0:
                    yield OptionList(id="first-models")
                else:
                    hint = "~/notes, then Enter" if step == 1 else "When does the last ferry leave?"
                    yield Input(placeholder=hint, id=f"first-input-{step}", suggester=_Paths() if step == 1 else None)
                yield Static(id=f"first-told-{step}", classes="first-told")
        yield KeyLine()

    def on_mount(self) -> None:
        for step in range(3):
            self._draw(step)
        self.query_one(OptionList).focus()
        self.set_interval(_DRAW_S, self._follow)
        self._list()

    # --- drawing -------------------------------------------------------------------------------------------------

    def _draw(self, step: int) -> None:
        mark, style = ("✓", "$text-success") if self.done[step] else ("○", _FAINT)
        title = Content.assemble((f"{step + 1} {mark} ", f"bold {style}"), (_TITLES[step], "bold"))
        self.query_one(f"#first-step-{step}", Static).update(title)
        told = Content.styled(self._said[step], "$text-error" if self._failed[step] else "$text-secondary")
        self.query_one(f"#first-told-{step}", Static).update(told)

    def _tell(self, step: int, text: str, *, done: bool = False, failed: bool = False) -> None:
        self._said[step], self._failed[step] = text, failed
        self.done[step] = self.done[step] or done
        self._draw(step)

    def _follow(self) -> None:
        """Draw how far the models are."""
        running = [pull for pull in self._pulls if pull.is_running]
        if running:
            words = [
                f"{pull.name} {pull.what or f'{bar(pull.share, 20)} {100 * pull.share:.0f} %'}" for pull in running
            ]
            self._tell(0, "   ".join(words))

    # --- the model -----------------------------------------------------------------------------------------------

    @work(exit_on_error=False)
    async def _list(self) -> None:
        chosen, starter = self.app.settings.models.chat, self.app.settings.models.starter
        by_name = {info.name: info for info in await self.app.rag.models() if info.role == "chat"}
        names = [name for name in dict.fromkeys((starter, chosen, *by_name)) if name in by_name]
        self.models = [by_name[name] for name in names]
        options = self.query_one(OptionList)
        options.add_options(
            [Option(_line(info.name, in_bytes(info.size_bytes), info.description)) for info in self.models]
        )
        options.add_option(Option(_line("a server", "", "Ollama, LM Studio, vLLM … or any that speaks OpenAI's API")))
        options.highlighted = 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_index < len(self.models):
            self._fetch(self.models[event.option_index])
        else:
            self._connect()

    @work(group="model", exclusive=True, exit_on_error=False)
    async def _fetch(self, info: ModelInfo) -> None:
        """Fetch the model and the one that embeds, while the user goes on."""
        self.query_one("#first-input-1").focus()
        await self.app.rag.use(info.name)
        self._pulls = [self.app.pulls.start(each.name, each.size_bytes) for each in await self._missing(info)]
        if await self._all_here():
            self._tell(0, f"{info.name} is here", done=True)
            self.app.models_changed()

    async def _missing(self, chat: ModelInfo) -> list[ModelInfo]:
        embedding = self.app.settings.models.embedding
        needed = [chat] if embedding.startswith("openai:") else [await self.app.rag.model(embedding), chat]
        return [each for each in needed if not each.is_here]

    async def _all_here(self) -> bool:
        """Wait for what is fetched; False, and it is told, if it could not be."""
        for pull in self._pulls:
            await pull.ended.wait()
            if not pull.is_done:
                why = pull.error.message if pull.error is not None else "stopped"
                self._tell(0, f"{pull.name}: {why}. Enter tries again", failed=True)
                return False
        return True

    @work(group="model", exclusive=True, exit_on_error=False)
    async def _connect(self) -> None:
        """Ask for the server's address, then for one of its models."""
        url = await self.app.push_screen_wait(LinePrompt("Address of the server", "http://localhost:11434/v1"))
        if not url:
            return
        try:
            await self.app.rag.change("openai", "url", url)
            self._tell(0, f"asking {url} …")
            reached = await self.app.rag.reach_endpoint()
        except TermragError as error:
            self._tell(0, f"{error.message}. Enter tries again", failed=True)
            return
        chosen = await self.app.push_screen_wait(Picker("Model", [Choice(name, name) for name in reached.models]))
        if chosen is not None:
            await self.app.rag.use_remote(chosen.id)
            self._tell(0, f"{chosen.id} at {url}", done=True)
            self.query_one("#first-input-1").focus()

    # --- documents -----------------------------------------------------------------------------------------------

    @on(Input.Submitted, "#first-input-1")
    def _path_typed(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self._add(Path(event.value.strip().strip("'\"").removeprefix("file://")).expanduser())
        else:
            self.query_one("#first-input-2").focus()

    @work(group="add", exclusive=True, exit_on_error=False)
    async def _add(self, path: Path) -> None:
        if not path.exists():
            self._tell(1, f"{path} is not there", failed=True)
            return
        self.query_one("#first-input-2").focus()
        if self._pulls:
            self._tell(1, "begins as soon as the model that embeds is here")
            if not await self._all_here():
                return
        try:
            async with aclosing(self.app.rag.ingest([path])) as events:
                await self._draw_ingest(events)
        except TermragError as error:
            self._tell(1, f"{error.message}. {error.hint}", failed=True)

    async def _draw_ingest(self, events: AsyncIterator[IngestEvent]) -> None:
        async for event in events:
            match event:
                case Progress(files_done=done, files_total=total, current=current):
                    share = done / total if total else 0.0
                    self._tell(1, f"{bar(share, 20)} {done} of {total}  {current.rsplit('/', 1)[-1]}")
                case Finished():
                    failed = f", {event.failed} failed" if event.failed else ""
                    count = event.indexed + event.unchanged + event.moved
                    self._tell(1, f"{count} files are indexed{failed}", done=count > 0, failed=not count)
                case _:
                    pass

    # --- the question --------------------------------------------------------------------------------------------

    @on(Input.Submitted, "#first-input-2")
    def _question_typed(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self._ask(event.value.strip())

    @work(group="ask", exclusive=True, exit_on_error=False)
    async def _ask(self, question: str) -> None:
        """Once the model and the documents are there, it is asked."""
        adding = [worker for worker in self.workers if worker.group == "add" and not worker.is_finished]
        if adding or any(pull.is_running for pull in self._pulls):
            self._tell(2, "asked as soon as the model and the documents are here")
            for worker in adding:
                await worker.wait()
            if not await self._all_here():
                return
        self.dismiss(question)

    def action_leave(self) -> None:
        """To the chat; what is fetched or read goes on being fetched."""
        self.dismiss(None)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.app.report(event.worker.error)


class _Paths(Suggester):
    """Completes a path from what there is."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """The first entry of the folder that goes on like this; None if there is none."""
        typed = Path(value).expanduser()
        folder, begun = (typed, "") if value.endswith("/") else (typed.parent, typed.name)
        try:
            names = sorted(each.name for each in folder.iterdir() if each.name.startswith(begun))
        except OSError:
            return None
        visible = [name for name in names if begun or not name.startswith(".")]
        return value + visible[0][len(begun) :] if visible else None


def _heading() -> Content:
    return Content.assemble(
        ("termrag\n", "bold $text-primary"), "Questions about your own documents. Nothing leaves this machine."
    )


def _line(name: str, size: str, description: str) -> Content:
    return Content.assemble(f"{name:<18} ", (f"{size:>9}  {description}", _FAINT))
