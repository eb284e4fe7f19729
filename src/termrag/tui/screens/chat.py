"""The main screen: a conversation, where it comes from, and what can be done with it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import Screen
from textual.worker import Worker

from termrag.errors import TermragError
from termrag.records import Filters
from termrag.tui.asking import Asking, Order
from termrag.tui.entries import Entry, Question, Reply
from termrag.tui.widgets.composer import Composer
from termrag.tui.widgets.keyline import KeyLine
from termrag.tui.widgets.status import StatusLine
from termrag.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from termrag.tui.app import TermragApp
    from termrag.tui.widgets.sources import Sources

_FLUSH_S = 0.05  # how often text that came is drawn
_SPIN_EVERY = 3  # flushes from one picture of the progress line to the next


class ChatScreen(Screen[None]):
    """Asks, shows, keeps."""

    app: TermragApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Stop", id="chat.stop"),
        Binding("f4", "toggle_sources", "Sources", id="chat.sources"),
        Binding("f8,ctrl+n", "new_session", "New", id="chat.new"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.session_id: str | None = None
        self.asking: Asking | None = None
        self.queue: deque[Asking] = deque()
        self._worker: Worker[None] | None = None
        self._keys = 0
        self._ticks = 0

    def compose(self) -> ComposeResult:
        with Horizontal(id="panes"):
            yield Transcript(id="transcript", reading_width=self.app.config.tui.reading_width)
        yield StatusLine(id="status")
        yield Composer(id="composer", placeholder="Ask your documents")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        self.query_one(Composer).focus()
        self.set_interval(_FLUSH_S, self._tick)

    @property
    def transcript(self) -> Transcript:
        return self.query_one(Transcript)

    def _key(self) -> str:
        self._keys += 1
        return f"e{self._keys}"

    # --- asking --------------------------------------------------------------------------------------------------

    def on_composer_sent(self, event: Composer.Sent) -> None:
        self.submit(Order(event.text))

    def submit(self, order: Order) -> None:
        """Ask, now or when the answers before it are done."""
        waits = self.asking is not None
        question = Question(self._key(), order.question, time.time(), queued=waits)
        question.limits = order.limits
        key = self._key()
        asking = Asking(order, question, Reply(key, self._link(key)), self.app.config.generation.max_tokens)
        self.transcript.following = True
        if waits:
            self.queue.append(asking)
            self.transcript.add(question)
        else:
            self.transcript.add(question, asking.reply)
            self._begin(asking)

    def _begin(self, asking: Asking) -> None:
        self.asking = asking
        self._worker = self._answer(asking)

    @work(group="answer")
    async def _answer(self, asking: Asking) -> None:
        try:
            rag = self.app.rag
            order = asking.order
            filters = Filters(document_ids=order.document_ids)
            async with aclosing(rag.ask(order.question, filters=filters, general=order.general)) as events:
                async for event in events:
                    asking.take(event)
        except TermragError as error:
            asking.stop(error.message)
            self.app.show_error(error)
        finally:
            if asking.reply.work is not None:
                asking.stop()
            self._finish(asking)

    def _finish(self, asking: Asking) -> None:
        if not self.is_attached:
            return
        self.asking = None
        self.transcript.changed(asking.reply)
        self._show_sources(asking)
        if self.queue:
            following = self.queue.popleft()
            following.question.queued = False
            following.question.asked_at = time.time()
            following.question.forget()
            self.transcript.remove_entries([following.question, *(each.question for each in self.queue)])
            self.transcript.add(following.question, following.reply, *(each.question for each in self.queue))
            self._begin(following)

    def _tick(self) -> None:
        """Draw what has come since the last time."""
        asking = self.asking
        if asking is None or asking.reply.work is None:
            return
        self._ticks += 1
        line = asking.flush()
        if line is not None:
            self.transcript.changed(asking.reply, line)
        if self._ticks % _SPIN_EVERY == 0 and asking.reply.work is not None:
            asking.reply.work.tick += 1
            self.transcript.changed(asking.reply, asking.reply.refresh_footer())

    def action_leave(self) -> None:
        """Stop the answer; if there is none, give up what is marked and go back to the input."""
        if self.asking is not None and self._worker is not None:
            self._worker.cancel()
        else:
            self.clear_selection()
        self.query_one(Composer).focus()

    # --- sources -------------------------------------------------------------------------------------------------

    def _link(self, key: str) -> Callable[[str], str]:
        def action(target: str) -> str:
            kind, _, rest = target.partition(":")
            return f"screen.cite({key!r}, {rest!r})" if kind == "cite" else f"app.follow_link({target!r})"

        return action

    def _show_sources(self, asking: Asking) -> None:
        pane = self._sources()
        if pane is not None:
            pane.show(asking.passages, asking.reply.answer)

    def _sources(self) -> Sources | None:
        from termrag.tui.widgets.sources import Sources

        return next(iter(self.query(Sources)), None)

    async def action_toggle_sources(self) -> None:
        """Show or hide the passages of the answer."""
        from termrag.tui.widgets.sources import Sources

        pane = self._sources()
        if pane is None:
            pane = Sources(id="sources")
            await self.query_one("#panes").mount(pane)
            reply = self._last_reply()
            if reply is not None and reply.answer is not None:
                pane.show(reply.answer.passages, reply.answer)
        else:
            pane.display = not pane.display

    def _last_reply(self) -> Reply | None:
        return next((each for each in reversed(self.transcript.entries) if isinstance(each, Reply)), None)

    # --- sessions ------------------------------------------------------------------------------------------------

    def action_new_session(self) -> None:
        """Begin a new conversation."""
        self.action_leave()
        self.queue.clear()
        self.session_id = None
        entries: list[Entry] = []
        self.transcript.show(entries)

    def action_scroll_transcript(self, pages: int) -> None:
        """Scroll the conversation while the input keeps the focus."""
        transcript = self.transcript
        if pages >= 1000:
            transcript.action_follow()
        elif pages <= -1000:
            transcript.scroll_home(animate=False)
        else:
            transcript.scroll_relative(y=pages * max(transcript.size.height - 2, 1), animate=False)
