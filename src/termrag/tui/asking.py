"""One question while it is answered: turns the façade's events into what an entry shows; knows nothing of widgets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from termrag.kinds import TurnState, Verdict
from termrag.marks import marked
from termrag.tui.entries import Question, Reply, bar, mark_of, marked_text

if TYPE_CHECKING:
    from termrag.events import AskEvent
    from termrag.records import Passage


@dataclass(frozen=True, slots=True)
class Order:
    """What to ask. `parent` is the turn to follow: empty for a new beginning, None for the end of the branch."""

    question: str
    parent: str | None = None
    document_ids: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()  # names of these documents
    general: bool = False


@dataclass(slots=True)
class Asking:
    """An order with the entries that show it. Text is kept back until `flush`, so that drawing has its own pace."""

    order: Order
    question: Question
    reply: Reply
    most_tokens: int
    passages: tuple[Passage, ...] = ()
    shown: tuple[Passage, ...] = ()  # those that a pane shows already
    notices: list[str] = field(default_factory=list)
    _held: list[str] = field(default_factory=list)
    _sentence: str = ""  # of the text that is not checked yet

    def take(self, event: AskEvent) -> None:
        """Note an event."""
        from termrag import events as told

        if isinstance(event, told.Started):
            self.reply.turn = self.question.turn = event.turn
            self.reply.asked_at = self.question.asked_at = event.turn.asked_at
        work = self.reply.work
        if work is None:
            return
        match event:
            case told.Searching():
                work.enter("searching")
            case told.Retrieved(passages):
                self.passages = passages
                work.enter("reading", _sources(passages))
            case told.Refused(_, nearest):
                self.passages = nearest
            case told.Loading(model):
                work.enter("loading", model)
            case told.Downloading(file, done, total):
                share = f"{bar(done / total)} {100 * done / total:.0f} %" if total else ""
                work.enter("fetching", f"{file} {share}".rstrip())
            case told.Preparing(what):
                work.enter("preparing", what)
            case told.Reading(done, total):
                work.enter("reading", _sources(self.passages))
                work.done, work.total = done, total
            case told.Notice(message):
                self.notices.append(message)
            case _:
                self._take_text(event)

    def _take_text(self, event: AskEvent) -> None:
        from termrag import events as told

        work = self.reply.work
        match event:
            case told.Token(text, tokens) if work is not None:
                if not work.tokens:
                    work.enter("writing")
                    work.most = self.most_tokens
                work.tokens += tokens
                self._held.append(text)
                self._sentence += text
            case told.Checked(sentence, _):
                self._held.append(marked(self._sentence, mark_of(sentence))[len(self._sentence) :])
                self._sentence = ""
            case told.Answered(answer):
                self.flush()
                self.reply.answer, self.reply.work = answer, None
                self.reply.state = TurnState.STOPPED if answer.verdict is Verdict.STOPPED else TurnState.DONE
                self.passages = answer.passages or self.passages
                self.reply.set_text(marked_text(answer))
                self.reply.forget()
            case _:
                pass

    def flush(self) -> int | None:
        """Show the text that was held back. The first line that changed; None if there was nothing."""
        if not self._held:
            return None
        text = "".join(self._held)
        self._held.clear()
        return self.reply.feed(text)

    def stop(self, error: str = "") -> None:
        """The answer ends here, by the user's wish or by an error."""
        self.flush()
        self.reply.work = None
        self.reply.error = error
        self.reply.state = TurnState.FAILED if error else TurnState.STOPPED
        self.reply.forget()


def _sources(passages: tuple[Passage, ...]) -> str:
    names = list(dict.fromkeys(passage.path.rsplit("/", 1)[-1] for passage in passages))
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
