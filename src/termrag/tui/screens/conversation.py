"""A conversation on the screen: asks in order, draws what comes, stops when told; knows no list of sessions."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from termrag.tui.asking import Asking, Order
from termrag.tui.entries import Entry, Note, Question, Reply
from termrag.tui.widgets.composer import Composer
from termrag.tui.widgets.keyline import KeyLine
from termrag.tui.widgets.status import StatusLine
from termrag.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from termrag.tui.app import TermragApp
    from termrag.turns import Session, Turn

_FLUSH_S = 0.05  # how often text that came is drawn; half as often over a network
_SPIN_EVERY = 3  # flushes from one picture of the progress line to the next


class ConversationScreen(Screen[None]):
    """The transcript with its input, and the questions that are being answered or wait for it."""

    app: TermragApp

    def __init__(self) -> None:
        super().__init__()
        self.session_id: str | None = None
        self.asking: Asking | None = None
        self.queue: deque[Asking] = deque()
        self._answering: Worker[None] | None = None
        self._keys = 0
        self._ticks = 0

    def compose(self) -> ComposeResult:
        with Horizontal(id="panes"):
            yield Transcript(id="transcript", reading_width=self.app.settings.tui.reading_width, key_of=self.app.key_of)
        yield StatusLine(id="status")
        yield Composer(id="composer", placeholder="Ask your documents")
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        self.composer.focus()
        self.set_interval(_FLUSH_S * (2 if self.app.is_remote else 1), self._tick)

    @property
    def transcript(self) -> Transcript:
        return self.query_one(Transcript)

    @property
    def composer(self) -> Composer:
        return self.query_one(Composer)

    @property
    def status(self) -> StatusLine:
        return self.query_one(StatusLine)

    # --- what there is to see ------------------------------------------------------------------------------------

    def show_session(self, session: Session) -> None:
        """Show a kept conversation, its current branch from the end."""
        self.session_id = session.info.id
        self.transcript.show([entry for turn in session.turns for entry in self._entries_of(turn)])
        self.composer.sent = [turn.question for turn in session.turns]
        self.conversation_changed()

    def _entries_of(self, turn: Turn) -> tuple[Question, Reply]:
        question = Question(self._key(), turn.question, turn.asked_at)
        question.turn = turn
        key = self._key()
        return question, Reply.of(turn, key, self._link(key))

    def last_reply(self) -> Reply | None:
        return next((each for each in reversed(self.transcript.entries) if isinstance(each, Reply)), None)

    def reply_to(self, question: Question) -> Reply | None:
        """The answer below a question."""
        entries = self.transcript.entries
        after = entries[entries.index(question) + 1 :] if question in entries else []
        return next((each for each in after[:1] if isinstance(each, Reply)), None)

    def question_of(self, reply: Reply) -> Question | None:
        """The question above an answer."""
        entries = self.transcript.entries
        index = entries.index(reply) if reply in entries else 0
        above = entries[index - 1] if index else None
        return above if isinstance(above, Question) else None

    def cut_from(self, question: Question) -> None:
        """Take a question and all below it out of the picture: another branch goes on from there."""
        entries = self.transcript.entries
        if question in entries:
            self.transcript.remove_entries(entries[entries.index(question) :])

    def parent_of(self, question: Question) -> str:
        """Id of the turn that a question follows; empty for the first."""
        if question.turn is not None:
            return question.turn.parent_id
        entries: list[Entry] = self.transcript.entries
        above = entries[: entries.index(question)] if question in entries else []
        replies = [each for each in reversed(above) if isinstance(each, Reply) and each.turn is not None]
        return replies[0].turn.id if replies and replies[0].turn is not None else ""

    def _key(self) -> str:
        self._keys += 1
        return f"e{self._keys}"

    def _link(self, key: str) -> Callable[[str], str]:
        def action(target: str) -> str:
            kind, _, rest = target.partition(":")
            return f"screen.cite({key!r}, {rest!r})" if kind == "cite" else f"app.follow_link({target!r})"

        return action

    def greet(self, content: Content | None) -> None:
        """Show a word of welcome in an empty conversation; None takes it away."""
        self.transcript.remove_entries([each for each in self.transcript.entries if isinstance(each, Note)])
        if content is not None and not self.transcript.entries:
            self.transcript.add(Note(self._key(), content))

    # --- asking --------------------------------------------------------------------------------------------------

    def submit(self, order: Order) -> None:
        """Ask, now or when the answers before it are done."""
        self.greet(None)
        waits = self.asking is not None
        question = Question(self._key(), order.question, time.time(), queued=waits)
        question.limits = order.limits
        key = self._key()
        asking = Asking(order, question, Reply(key, self._link(key)), self.app.settings.generation.max_tokens)
        self.transcript.following = True
        if waits:
            self.queue.append(asking)
            self.transcript.add(question)
        else:
            self.transcript.add(question, asking.reply)
            self._begin(asking)

    def _begin(self, asking: Asking) -> None:
        self.asking = asking
        self.status.tell(state="answering")
        self._answering = self._answer(asking)

    @work(group="answer", exit_on_error=False)
    async def _answer(self, asking: Asking) -> None:
        from termrag.records import Filters

        order = asking.order
        try:
            rag = self.app.rag
            if self.session_id is None:
                self.session_id = (await rag.start_session()).id
            events = rag.ask(
                order.question,
                session=self.session_id,
                parent=order.parent,
                filters=Filters(document_ids=order.document_ids),
                general=order.general,
            )
            async with aclosing(events):
                async for event in events:
                    asking.take(event)
        except Exception as error:
            asking.stop(str(error))
            raise
        finally:
            if asking.reply.work is not None:
                asking.stop()
            if self.is_attached:
                self._finish(asking)

    def _finish(self, asking: Asking) -> None:
        self.asking = None
        self.transcript.changed(asking.reply)
        for notice in asking.notices:
            self.notify(notice, markup=False)
        if self.queue:
            self._begin_next()
        else:
            self.status.tell(state="ready")
        self.answer_ended(asking)

    def _begin_next(self) -> None:
        following = self.queue.popleft()
        waiting = [each.question for each in self.queue]
        following.question.queued = False
        following.question.asked_at = time.time()
        following.question.forget()
        self.transcript.remove_entries([following.question, *waiting])
        self.transcript.add(following.question, following.reply, *waiting)
        self._begin(following)

    def stop(self) -> bool:
        """End the answer in hand, on the screen at once; False if there is none."""
        if self.asking is None or self._answering is None:
            return False
        self._answering.cancel()
        if self.asking.reply.work is not None:
            self.asking.stop()
            self.transcript.changed(self.asking.reply)
        return True

    def _tick(self) -> None:
        """Draw what has come since the last time."""
        asking = self.asking
        if asking is None or asking.reply.work is None:
            return
        self._ticks += 1
        line = asking.flush()
        if line is not None:
            self.transcript.changed(asking.reply, line)
        if self._ticks % _SPIN_EVERY == 0:
            asking.reply.work.tick += 1
            self.transcript.changed(asking.reply, asking.reply.refresh_footer())
            if asking.passages is not asking.shown:
                asking.shown = asking.passages
                self.passages_found(asking)

    # --- for the screen that has more around it ------------------------------------------------------------------

    def conversation_changed(self) -> None:
        """Another conversation is shown."""

    def passages_found(self, asking: Asking) -> None:
        """The search has brought passages; the answer is still to come."""

    def answer_ended(self, asking: Asking) -> None:
        """An answer is complete, stopped or failed."""

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.app.report(event.worker.error, asked=event.worker.group == "answer")
