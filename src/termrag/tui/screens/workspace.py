"""What stands beside a conversation: the list of sessions, the sources of an answer, the status line, the limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textual import events, work
from textual.content import Content

from termrag.tui.asking import Asking
from termrag.tui.entries import Note, Reply
from termrag.tui.screens.conversation import ConversationScreen

if TYPE_CHECKING:
    from termrag.records import Passage, Status
    from termrag.tui.widgets.sessions import Sessions
    from termrag.tui.widgets.sources import Sources
    from termrag.turns import SessionInfo

_MEDIUM, _WIDE = 90, 130  # cells from which one pane, or both, have room beside the conversation
_FORMATS: dict[str, Literal["markdown", "json", "html"]] = {"md": "markdown", "json": "json", "html": "html"}


class WorkspaceScreen(ConversationScreen):
    """A conversation with its panes. They are made when they are first shown."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: dict[str, str] = {}  # id and name of the documents that questions are limited to
        self._breadth: int | None = None  # narrow, medium, wide; None until the first frame
        self._deleted: list[SessionInfo] = []

    def on_mount(self) -> None:
        super().on_mount()
        self.call_after_refresh(self._furnish)
        self.set_interval(0.25, self._follow_ingest)

    async def _furnish(self) -> None:
        """After the first frame: the panes that there is room for, and what the status line tells."""
        await self._fit_panes(self.size.width)
        self.look()

    async def on_resize(self, event: events.Resize) -> None:
        if self._breadth is not None:
            await self._fit_panes(event.size.width)

    async def _fit_panes(self, width: int) -> None:
        """When the screen becomes wide, medium or narrow, show the panes that it has room for."""
        breadth = 2 if width >= _WIDE else 1 if width >= _MEDIUM else 0
        if breadth == self._breadth:
            return
        self._breadth = breadth
        await self._show_pane("sessions", breadth == 2)
        await self._show_pane("sources", breadth >= 1)
        if self.focused is None:
            self.composer.focus()

    def is_pane_shown(self, name: str) -> bool:
        return self.has_class(f"-{name}")

    async def _show_pane(self, name: str, shown: bool) -> None:
        if shown and not self.query(f"#{name}"):
            from termrag.tui.widgets.sessions import Sessions
            from termrag.tui.widgets.sources import Sources

            if name == "sessions":
                await self.query_one("#panes").mount(Sessions(id="sessions"), before=0)
                self._list_sessions()
            else:
                await self.query_one("#panes").mount(Sources(id="sources"))
                self._show_last_sources()
        self.set_class(shown, f"-{name}")

    async def _toggle(self, name: str) -> None:
        shown = not self.is_pane_shown(name)
        if shown and self._breadth != 2:
            await self._show_pane("sources" if name == "sessions" else "sessions", False)
        await self._show_pane(name, shown)
        if not shown:
            self.composer.focus()
        elif name == "sessions" and self.sessions_pane is not None:
            self.sessions_pane.focus_list()
        elif self.sources_pane is not None:
            self.sources_pane.focus()

    async def action_toggle_sessions(self) -> None:
        """Show the kept conversations, or hide them."""
        await self._toggle("sessions")

    async def action_toggle_sources(self) -> None:
        """Show the passages of the answer, or hide them."""
        await self._toggle("sources")

    async def uncover(self) -> None:
        """On a screen without room for all, back to the conversation."""
        if self._breadth != 2:
            await self._show_pane("sessions", False)
            await self._show_pane("sources", self._breadth == 1)

    def on_screen_resume(self) -> None:
        if self.app.is_open:
            self.look()

    def conversation_changed(self) -> None:
        self._list_sessions()
        self._show_last_sources()

    def passages_found(self, asking: Asking) -> None:
        if (pane := self.sources_pane) is not None:
            pane.show(asking.passages)

    def answer_ended(self, asking: Asking) -> None:
        if (pane := self.sources_pane) is not None:
            pane.show(asking.passages, asking.reply.answer)
        self._list_sessions()
        self._tell_of(asking.reply)
        self.look()

    # --- the status line -----------------------------------------------------------------------------------------

    @work(group="status", exclusive=True, exit_on_error=False)
    async def look(self) -> None:
        """Bring the status line up to date."""
        from termrag.watchstate import WatchState

        status = await self.app.rag.status()
        count = f"{status.documents} document" + ("" if status.documents == 1 else "s")
        failed = f", {status.failed} failed" if status.failed else ""
        model = status.model if status.model_is_here else f"{status.model} (not here)"
        self.status.tell(
            model=model, documents=count + failed, state="answering" if self.asking is not None else "ready"
        )
        if all(isinstance(each, Note) for each in self.transcript.entries):
            self.greet(_welcome(status, self.app.key_of))
            self.begin(status)
        watch = await self.app.rag.watch_status()
        words = {WatchState.OFF: "", WatchState.IDLE: "watching"}.get(watch.state, f"watching: {watch.state}")
        self.status.tell(watching=words)

    def begin(self, status: Status) -> None:
        """Nothing is asked yet."""

    def _follow_ingest(self) -> None:
        """Tell in the status line how far the files are that come in."""
        summary = self.app.ingest_summary
        if summary != self.status.facts.adding:
            self.status.tell(adding=summary)
            if not summary:
                self.look()

    def _tell_of(self, reply: Reply) -> None:
        answer = reply.answer
        if answer is None:
            return
        budget = answer.budget
        self.status.tell(
            context=f"context {budget.total}/{budget.limit}" if budget is not None else "",
            speed=f"{answer.usage.tokens_per_second:.0f} tokens/s" if answer.usage.tokens_per_second else "",
            kept="kept" if reply.turn is not None else "",
        )

    # --- sources -------------------------------------------------------------------------------------------------

    @property
    def sources_pane(self) -> Sources | None:
        from termrag.tui.widgets.sources import Sources

        return next(iter(self.query(Sources)), None)

    def _show_last_sources(self) -> None:
        pane, reply = self.sources_pane, self.last_reply()
        if pane is not None:
            answer = reply.answer if reply is not None else None
            pane.show(answer.passages if answer is not None else (), answer)

    def on_sources_opened(self, event: Sources.Opened) -> None:
        pane = self.sources_pane
        if pane is None:
            return
        if event.outside:
            from termrag.tui.opening import line_of

            passage = pane.passages[event.index]
            self.app.open_outside(passage, line_of(passage, pane.quotes.get(passage.number, "")))
        else:
            self.app.open_source(pane.passages, event.index, pane.quotes)

    def on_sources_copied(self, event: Sources.Copied) -> None:
        pane = self.sources_pane
        if pane is not None:
            self.app.copy_text(_quoted(pane.passages[event.index], pane.quotes))

    # --- sessions ------------------------------------------------------------------------------------------------

    @property
    def sessions_pane(self) -> Sessions | None:
        from termrag.tui.widgets.sessions import Sessions

        return next(iter(self.query(Sessions)), None)

    @work(group="sessions", exclusive=True, exit_on_error=False)
    async def _list_sessions(self) -> None:
        pane = self.sessions_pane
        if pane is not None:
            pane.show(await self.app.rag.sessions(pane.query_text.strip()), self.session_id)

    def on_sessions_searched(self) -> None:
        self._list_sessions()

    async def on_sessions_chosen(self, event: Sessions.Chosen) -> None:
        self.open_session(event.session.id)

    @work(group="session", exclusive=True, exit_on_error=False)
    async def open_session(self, reference: str) -> None:
        """Go on with a kept conversation: id, its beginning, or `last`."""
        self.stop()
        self.queue.clear()
        self.show_session(await self.app.rag.session(reference))
        await self.uncover()
        self.composer.focus()

    def on_sessions_wished(self, event: Sessions.Wished) -> None:
        match event.wish:
            case "restore":
                self.action_restore()
            case "rename" if event.session is not None:
                self._rename(event.session)
            case "delete" if event.session is not None:
                self._delete(event.session)
            case "export" if event.session is not None:
                self._export(event.session.id)
            case _:
                pass

    @work(exit_on_error=False)
    async def _rename(self, session: SessionInfo) -> None:
        from termrag.tui.screens.pickers import LinePrompt

        title = await self.app.push_screen_wait(LinePrompt("Rename", session.title))
        if title:
            await self.app.rag.rename_session(session.id, title)
            self._list_sessions()

    @work(exit_on_error=False)
    async def _delete(self, session: SessionInfo) -> None:
        if session.id == self.session_id:
            self._empty()
        await self.app.rag.delete_session(session.id)
        self._deleted.append(session)
        self._list_sessions()
        self.notify(f"{session.title}: deleted. {self.app.key_of('chat.restore')} brings it back", markup=False)

    @work(exit_on_error=False)
    async def action_restore(self) -> None:
        """Bring the conversation back that was deleted or cleared last."""
        if not self._deleted:
            self.notify("nothing was deleted")
            return
        session = self._deleted.pop()
        await self.app.rag.restore_session(session.id)
        self.open_session(session.id)

    def action_new_session(self) -> None:
        """Begin a new conversation."""
        self._empty()
        self.call_later(self.uncover)
        self.composer.focus()

    def _empty(self) -> None:
        """Show no conversation."""
        self.stop()
        self.queue.clear()
        self.session_id = None
        self.transcript.show([])
        self.conversation_changed()
        self.look()

    @work(exit_on_error=False)
    async def action_clear(self) -> None:
        """Delete this conversation, for as long as it is not brought back."""
        if self.session_id is not None:
            session = (await self.app.rag.session(self.session_id)).info
            self.action_new_session()
            self._delete(session)

    def action_export(self) -> None:
        """Write this conversation to a file."""
        if self.session_id is None:
            self.notify("there is nothing to export yet")
        else:
            self._export(self.session_id)

    @work(exit_on_error=False)
    async def _export(self, session_id: str) -> None:
        from termrag.tui.screens.pickers import Choice, Picker

        choices = [Choice("md", "Markdown"), Choice("html", "HTML page"), Choice("json", "JSON, to import again")]
        chosen = await self.app.push_screen_wait(Picker("Export", choices))
        if chosen is None:
            return
        title = (await self.app.rag.session(session_id)).info.title
        text = await self.app.rag.export_session(session_id, _FORMATS[chosen.id])
        name = re.sub(r"[^\w-]+", "-", title).strip("-")[:60] or "conversation"
        self.app.save_text(text, Path(f"termrag-{name}.{chosen.id}"))

    # --- limits --------------------------------------------------------------------------------------------------

    @work(group="limit", exclusive=True, exit_on_error=False)
    async def action_limit(self) -> None:
        """Choose a document that answers are limited to; one that is chosen already is let go."""
        from termrag.tui.screens.pickers import Choice, Picker

        documents = await self.app.rag.documents()
        found = [
            Choice(each.id, each.path.rsplit("/", 1)[-1], str(Path(each.path).parent), each.id in self.limits)
            for each in documents
        ]
        every = [Choice("", "all documents", "no limit")] if self.limits else []
        hint = "Enter limits answers to it, or lets it go   Esc closes"
        ordered = every + sorted(found, key=lambda choice: not choice.marked)
        chosen = await self.app.push_screen_wait(Picker("Limit to documents", ordered, hint=hint))
        if chosen is not None:
            self._limit_to(chosen.id, chosen.name)

    def limit_to(self, documents: Sequence[tuple[str, str]]) -> None:
        """Limit questions to these documents alone, by (id, name)."""
        self.limits.clear()
        for document_id, name in documents:
            self._limit_to(document_id, name)

    def _limit_to(self, document_id: str, name: str) -> None:
        if not document_id:
            self.limits.clear()
        elif self.limits.pop(document_id, None) is None:
            self.limits[document_id] = name
        self.composer.border_subtitle = "@" + ", @".join(self.limits.values()) if self.limits else ""


def _welcome(status: Status, key_of: Callable[[str], str]) -> Content:
    lines: list[tuple[str, str] | str] = [
        ("Ask your documents.", "bold $text-primary"),
        "  Nothing leaves this machine.\n",
    ]
    if status.documents:
        lines.append((f"\n{status.documents} documents are indexed. Type a question, and Enter.", ""))
    else:
        lines.append("\nNothing is indexed yet. ")
        lines.append((key_of("app.documents"), "bold $text-accent"))
        lines.append(" adds documents, or drop files here.")
    if not status.model_is_here:
        lines += [
            f"\nThe model {status.model} is not on this machine yet. ",
            (key_of("app.models"), "bold $text-accent"),
            " fetches it.",
        ]
    shown = {"chat.sessions": "conversations", "chat.sources": "sources", "app.palette": "everything else"}
    keys = "   ".join(f"{key_of(name)} {what}" for name, what in shown.items())
    lines.append((f"\n\n@ limits answers to documents   {keys}", "$foreground 65%"))
    return Content.assemble(*lines)


def _quoted(passage: Passage, quotes: dict[int, str]) -> str:
    return f"“{' '.join(quotes.get(passage.number, passage.text).split())}” ({passage.place})"
