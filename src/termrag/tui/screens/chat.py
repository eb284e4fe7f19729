"""The main screen: what is typed, and all that can be done with a message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.binding import Binding, BindingType

from termrag.tui.asking import Order
from termrag.tui.entries import Question, Reply
from termrag.tui.screens.workspace import WorkspaceScreen
from termrag.tui.widgets.composer import Composer
from termrag.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from termrag.records import Citation, Passage, Status
    from termrag.tui.screens.pickers import Choice

# What may be typed instead of a key.
COMMANDS = {
    "/new": "new_session",
    "/clear": "clear",
    "/copy": "copy_last",
    "/export": "export",
    "/sessions": "toggle_sessions",
    "/sources": "toggle_sources",
    "/again": "regenerate",
    "/more": "go_on",
    "/docs": "app.open('documents')",
    "/settings": "app.open('settings')",
    "/models": "app.open('models')",
    "/help": "app.open('help')",
    "/quit": "app.quit",
}


class ChatScreen(WorkspaceScreen):
    """Where termrag begins."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Stop", id="chat.stop"),
        Binding("f3", "toggle_sessions", "Sessions", id="chat.sessions"),
        Binding("f4", "toggle_sources", "Sources", id="chat.sources"),
        Binding("f8,ctrl+n", "new_session", "New", id="chat.new"),
        Binding("f9,alt+c", "copy_last", "Copy", id="chat.copy"),
        Binding("f5", "go_on", "Go on", id="chat.go_on", show=False),
        Binding("ctrl+l", "clear", "Clear", id="chat.clear", show=False),
        Binding("ctrl+t", "limit", "Limit to documents", id="chat.limit", show=False),
        Binding("ctrl+g", "export", "Export", id="chat.export", show=False),
        Binding("ctrl+r", "regenerate", "Ask again", id="chat.regenerate", show=False),
        Binding("f12", "restore", "Undo delete", id="chat.restore", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._editing: Question | None = None
        self._has_begun = False

    def begin(self, status: Status) -> None:
        """Where there is neither a document nor a model, lead to the first answer, once."""
        if not (self._has_begun or status.documents or status.failed or status.model_is_here):
            self._has_begun = True
            self._lead()

    @work(exit_on_error=False)
    async def _lead(self) -> None:
        if (await self.app.rag.model(self.app.settings.models.starter)).is_here:
            return
        from termrag.tui.screens.firstrun import FirstRunScreen

        question = await self.app.push_screen_wait(FirstRunScreen())
        if question:
            self.submit(Order(question))

    # --- typing --------------------------------------------------------------------------------------------------

    def on_composer_sent(self, event: Composer.Sent) -> None:
        command = COMMANDS.get(event.text.strip())
        if command is not None:
            self.call_later(self.run_action, command)
            return
        parent = None
        if self._editing is not None:
            parent = self.parent_of(self._editing)
            self.cut_from(self._editing)
            self._stop_editing()
        self.submit(Order(event.text, parent, tuple(self.limits), tuple(self.limits.values())))

    def on_composer_mentioned(self, event: Composer.Mentioned) -> None:
        self.action_limit()

    @work(group="drop", exit_on_error=False)
    async def on_composer_dropped(self, event: Composer.Dropped) -> None:
        """Offer to add files that were dropped; anything else is text."""
        from termrag.tui.dropped import dropped_paths

        paths = await asyncio.to_thread(dropped_paths, event.text)
        if paths:
            from termrag.tui.screens.add import AddScreen

            self.app.push_screen(AddScreen(paths))
        else:
            self.composer.insert(event.text)

    def on_key(self, event: events.Key) -> None:
        """What is typed while the conversation has the focus, or nothing yet, goes to the input, unless it is a key of
        its own."""
        is_free = event.is_printable and event.key not in self.active_bindings
        if (self.focused is None or isinstance(self.focused, Transcript)) and is_free and event.character:
            event.stop()
            self.composer.focus()
            self.composer.insert(event.character)

    def action_leave(self) -> None:
        """Stop the answer; without one, give up editing or marking; then back to the input."""
        if not self.stop():
            if self._editing is not None:
                self._stop_editing()
                self.composer.clear()
            self.clear_selection()
            self.call_later(self.uncover)
        self.composer.focus()

    def action_copy_text(self) -> None:
        """Copy what is marked; where nothing is, stop the answer."""
        if self.get_selected_text() is None and self.stop():
            return
        super().action_copy_text()

    def action_scroll_transcript(self, pages: int) -> None:
        """Scroll the conversation while the input keeps the focus."""
        transcript = self.transcript
        if pages >= 1000:
            transcript.action_follow()
        elif pages <= -1000:
            transcript.action_first()
        else:
            transcript.scroll_relative(y=pages * max(transcript.size.height - 2, 1), animate=False)

    def on_transcript_behind(self, event: Transcript.Behind) -> None:
        self.transcript.border_subtitle = f"▼ {event.lines} lines below · End" if event.lines else ""
        self.transcript.set_class(bool(event.lines), "-behind")

    # --- what to do with a message -------------------------------------------------------------------------------

    def _reply(self) -> Reply | None:
        """The answer that keys act on: the current one, the one below a current question, or the last."""
        current = self.transcript.current
        if isinstance(current, Question):
            return self.reply_to(current)
        return current if isinstance(current, Reply) else self.last_reply()

    def _question(self) -> Question | None:
        current = self.transcript.current
        if isinstance(current, Question):
            return current
        reply = self._reply()
        return self.question_of(reply) if reply is not None else None

    def action_copy_message(self) -> None:
        """Copy the current message."""
        entry = self.transcript.current or self.last_reply()
        if entry is not None:
            self.app.copy_text(entry.text)

    def action_copy_last(self) -> None:
        """Copy the last answer."""
        reply = self.last_reply()
        if reply is not None:
            self.app.copy_text(reply.text)

    def action_copy_code(self) -> None:
        """Copy a code block of the answer; which one is asked where there are several."""
        from termrag.tui.markdown import code_blocks
        from termrag.tui.screens.pickers import Choice

        reply = self._reply()
        blocks = code_blocks(reply.plain) if reply is not None else []
        choices = [
            Choice(str(i), block.split("\n", 1)[0], f"{len(block.splitlines())} lines")
            for i, block in enumerate(blocks)
        ]
        self._choose("Copy code", choices, lambda chosen: self.app.copy_text(blocks[int(chosen.id)]), "no code here")

    def action_copy_citation(self) -> None:
        """Copy the words that an answer rests on, with where they stand."""
        from termrag.tui.screens.pickers import Choice

        cited = self._citations()
        choices = [Choice(str(i), f"[{each.number}] {each.place}", each.quote[:60]) for i, each in enumerate(cited)]
        self._choose(
            "Copy quote", choices, lambda chosen: self._copy_quote(cited[int(chosen.id)]), "nothing cited here"
        )

    def _copy_quote(self, citation: Citation) -> None:
        self.app.copy_text(f"“{' '.join(citation.quote.split())}” ({citation.place})")

    def _citations(self) -> list[Citation]:
        reply = self._reply()
        return self._citations_of(reply) if reply is not None else []

    def _citations_of(self, reply: Reply) -> list[Citation]:
        from termrag.wire import citations

        return citations(reply.answer) if reply.answer is not None else []

    @work(exit_on_error=False)
    async def _choose(
        self, title: str, choices: Sequence[Choice], then: Callable[[Choice], None], nothing: str
    ) -> None:
        """Ask which one is meant, where there is more than one."""
        from termrag.tui.screens.pickers import Picker

        if not choices:
            self.notify(nothing)
            return
        one = choices[0] if len(choices) == 1 else None
        chosen = one or await self.app.push_screen_wait(Picker(title, choices))
        if chosen is not None:
            then(chosen)

    def action_regenerate(self) -> None:
        """Ask the same question again, as another version of this turn."""
        self._ask_again(tuple(self.limits), tuple(self.limits.values()))

    def action_go_on(self) -> None:
        """Let an answer that was cut off go on, as the next turn."""
        reply = self.last_reply()
        if reply is None or reply.answer is None or not reply.answer.is_cut_off:
            self.notify("the last answer is complete")
        elif self.asking is None:
            self.submit(Order("Go on.", None, tuple(self.limits), tuple(self.limits.values())))

    def action_details(self) -> None:
        """How the answer came about, or why there is none."""
        from termrag.tui.screens.details import DetailsScreen

        reply = self._reply()
        if reply is not None:
            self.app.push_screen(DetailsScreen(reply))

    def action_without_documents(self) -> None:
        """Ask the model alone."""
        self._ask_again((), (), general=True)

    @work(exit_on_error=False)
    async def action_other_sources(self) -> None:
        """Ask again, without the documents that this answer was made from."""
        reply = self._reply()
        used = (
            {passage.document_id for passage in reply.answer.passages} if reply is not None and reply.answer else set()
        )
        others = tuple(each.id for each in await self.app.rag.documents() if each.id not in used)
        if not others:
            self.notify("there are no other documents")
        else:
            self._ask_again(others, (f"{len(others)} other documents",))

    def _ask_again(self, ids: tuple[str, ...], names: tuple[str, ...], *, general: bool = False) -> None:
        question = self._question()
        if question is None or question.queued or self.asking is not None:
            return
        parent = self.parent_of(question)
        self.cut_from(question)
        self.submit(Order(question.question, parent, ids, names, general))
        self.composer.focus()

    def action_edit(self) -> None:
        """Change a question and ask it as another version of this turn."""
        question = self._question()
        if question is not None and not question.queued and self.asking is None:
            self._editing = question
            self.composer.border_title = f"editing · {self.app.key_of('chat.stop')} gives up"
            self.composer.fill(question.question)
            self.composer.focus()

    def _stop_editing(self) -> None:
        self._editing = None
        self.composer.border_title = ""

    @work(exit_on_error=False)
    async def action_branch(self, by: int) -> None:
        """Another version of the current turn, and what followed it."""
        question = self._question()
        if question is None or question.turn is None or self.asking is not None:
            return
        versions = await self.app.rag.branches(question.turn.id)
        index = [each.id for each in versions].index(question.turn.id) + by
        if 0 <= index < len(versions):
            self.show_session(await self.app.rag.choose_branch(versions[index].id))

    @work(group="versions", exit_on_error=False)
    async def _count_versions(self, question: Question) -> None:
        if question.turn is None:
            return
        ids = [each.id for each in await self.app.rag.branches(question.turn.id)]
        if len(ids) > 1 and question.turn.id in ids:
            question.branch = (ids.index(question.turn.id) + 1, len(ids))
            question.forget()
            self.transcript.changed(question)

    def on_transcript_moved(self, event: Transcript.Moved) -> None:
        reply = self._reply()
        pane = self.sources_pane
        if pane is not None and reply is not None and reply.answer is not None:
            pane.show(reply.answer.passages, reply.answer)
        if isinstance(event.entry, Question) and event.entry.branch == (1, 1):
            self._count_versions(event.entry)

    # --- sources of a message ------------------------------------------------------------------------------------

    def action_cite(self, key: str, number: str) -> None:
        """Open what a mark in an answer stands for."""
        reply = next((each for each in self.transcript.entries if each.key == key), None)
        if isinstance(reply, Reply) and number.isdigit():
            self._open(reply, int(number))

    def action_open_citation(self, number: int) -> None:
        """Open a source of the answer by its number."""
        reply = self._reply()
        if reply is not None:
            self._open(reply, number)

    def _open(self, reply: Reply, number: int) -> None:
        passages: tuple[Passage, ...] = reply.answer.passages if reply.answer is not None else ()
        index = next((i for i, each in enumerate(passages) if each.number == number), None)
        if index is None:
            self.notify(f"this answer has no source {number}")
            return
        quotes = {citation.number: citation.quote for citation in self._citations_of(reply)}
        self.app.open_source(passages, index, quotes)
