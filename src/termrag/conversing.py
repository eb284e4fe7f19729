"""Questions that are kept: each turn is on the disk before it is answered, its text while it comes, and how it ended;
and whether what an answer cites still stands."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from termrag.errors import StoreUnavailable, TermragError
from termrag.events import Answered, AskEvent, Checked, Notice, Retrieved, Started, Token
from termrag.memory import turns_of
from termrag.pending import Pending
from termrag.records import Answer, Message, Passage, Sentence, Verdict
from termrag.sessions import SESSIONS_FILE, Sessions, export
from termrag.sessions.export import read_export
from termrag.turns import Freshness, Session, SessionInfo, Turn, TurnState
from termrag.wire import citations, plain

if TYPE_CHECKING:
    from termrag.answer import Request
    from termrag.parts import Parts

_RECALLED = 12  # turns of other conversations that are looked at
_FLUSH_S = 0.5  # a killed process loses what came since


def open_sessions(parts: Parts) -> Sessions:
    """The conversations of this user: close them."""
    return Sessions(parts.paths.data / SESSIONS_FILE)


# --- asking ------------------------------------------------------------------------------------------------------


def turns_before(
    parts: Parts, session_id: str | None, parent_id: str | None, history: Sequence[Message]
) -> tuple[Turn, ...]:
    """The turns that a new one follows, oldest first: of the session, or made of `history`. Raises NotFound."""
    if session_id is None:
        return turns_of(history)
    with open_sessions(parts) as sessions:
        session = sessions.session(session_id)
        return session.turns if parent_id is None else tuple(sessions.branch(session.info.id, parent_id))


def kept(
    parts: Parts, request: Request, parent_id: str | None, recall: bool | None = None
) -> Iterator[AskEvent | Pending]:
    """The events of a question of `request.session_id`, beginning with Started, kept as they come. Leaving early keeps
    the turn as stopped, an error as failed. `recall` looks into other conversations; None: as the settings say."""
    with open_sessions(parts) as sessions:
        if parts.config.sessions.recall if recall is None else recall:
            request = replace(request, recalled=_recalled(sessions, request))
        settings = {"sampling": plain(request.sampling), "strictness": request.strictness}
        turn = sessions.begin(request.session_id, request.question, request.searched, parent_id, settings)
        draft = _Draft(turn, sessions)
        try:
            yield Started(turn)
            for event in parts.answers(request):
                try:
                    draft.take(event)
                except StoreUnavailable as error:  # an answer is not lost because it cannot be kept
                    yield Notice(error.message)
                yield event
        except TermragError as error:
            sessions.finish(turn.id, TurnState.FAILED, draft.answer(), error.message)
            raise
        except BaseException:
            if not draft.is_done:
                sessions.finish(turn.id, TurnState.STOPPED, draft.answer())
            raise


def _recalled(sessions: Sessions, request: Request) -> tuple[Turn, ...]:
    """Turns of other conversations that speak of the question; none of deleted ones."""
    found = sessions.turns_about(request.searched, limit=_RECALLED, but=[turn.id for turn in request.turns])
    others = {turn.session_id for turn in found} - {request.session_id}
    open_ones = {each for each in others if not sessions.find(each).is_deleted}
    return tuple(turn for turn in found if turn.session_id in open_ones)


@dataclass(slots=True)
class _Draft:
    """An answer as far as it has come."""

    turn: Turn
    sessions: Sessions
    is_done: bool = False
    _text: list[str] = field(default_factory=list)
    _sentences: list[Sentence] = field(default_factory=list)
    _marked: list[str] = field(default_factory=list)
    _passages: tuple[Passage, ...] = ()
    _flushed: float = field(default_factory=time.monotonic)

    def take(self, event: AskEvent | Pending) -> None:
        match event:
            case Retrieved(passages):
                self._passages = passages
            case Token(text):
                self._text.append(text)
                self._marked.append(text)
                if time.monotonic() - self._flushed > _FLUSH_S:
                    self._flushed = time.monotonic()
                    self.sessions.keep(self.turn.id, "".join(self._text))
            case Checked(sentence, mark):
                self._sentences.append(sentence)
                self._marked.append(mark)
            case Answered(answer):
                self.is_done = True
                self.sessions.finish(self.turn.id, TurnState.DONE, answer)
            case _:
                pass

    def answer(self) -> Answer | None:
        """What came before the end; None if nothing did."""
        text = "".join(self._text)
        if not text.strip() and not self._passages:
            return None
        done = sum(len(sentence.text) for sentence in self._sentences)
        rest = text[done:]
        sentences = (*self._sentences, *([_open(rest)] if rest.strip() else []))
        return Answer(
            self.turn.question, Verdict.STOPPED, text.strip(), "".join(self._marked).strip(), sentences, self._passages
        )


def _open(text: str) -> Sentence:
    from termrag.grounding import unchecked

    return replace(unchecked(text), reason="not finished")


# --- sessions ----------------------------------------------------------------------------------------------------


def start(parts: Parts) -> SessionInfo:
    with open_sessions(parts) as sessions:
        return sessions.start()


def list_sessions(parts: Parts, query: str, limit: int, deleted: bool) -> list[SessionInfo]:
    """The last changed first; with a query those that hold its words, best first."""
    with open_sessions(parts) as sessions:
        if query.strip():
            return sessions.search(query, limit=limit)
        return sessions.latest(limit=limit, deleted=deleted)


def session(parts: Parts, reference: str) -> Session:
    """A conversation with how its sources stand today. Raises NotFound."""
    with open_sessions(parts) as sessions:
        return _with_freshness(parts, sessions.session(reference))


def rename(parts: Parts, reference: str, title: str) -> SessionInfo:
    with open_sessions(parts) as sessions:
        return sessions.rename(sessions.find(reference).id, title)


def delete(parts: Parts, reference: str) -> SessionInfo:
    """Out of sight, and back by `restore`. Raises NotFound."""
    with open_sessions(parts) as sessions:
        info = sessions.find(reference)
        sessions.delete(info.id)
        parts.chats.prefixes.forget(info.id)
        return sessions.find(info.id)


def restore(parts: Parts, reference: str) -> SessionInfo:
    with open_sessions(parts) as sessions:
        return sessions.restore(sessions.find(reference).id)


def prune(parts: Parts, older_than_s: float | None) -> int:
    parts.chats.prefixes.clear()  # what was read of conversations that go, and of others: it costs them a little time
    with open_sessions(parts) as sessions:
        return sessions.prune(None if older_than_s is None else time.time() - older_than_s)


def export_session(parts: Parts, reference: str, form: str) -> str:
    with open_sessions(parts) as sessions:
        found = sessions.session(reference)
        return export(found, sessions.turns(found.info.id), form)


def import_session(parts: Parts, text: str) -> SessionInfo:
    """Raises ConfigError for what termrag did not write."""
    info, turns = read_export(text)
    with open_sessions(parts) as sessions:
        return sessions.put(info, turns)


def branches(parts: Parts, turn_id: str) -> list[Turn]:
    with open_sessions(parts) as sessions:
        return sessions.branches(turn_id)


def choose_branch(parts: Parts, turn_id: str) -> Session:
    with open_sessions(parts) as sessions:
        return _with_freshness(parts, sessions.choose(turn_id))


# --- what became of the sources ----------------------------------------------------------------------------------


def _with_freshness(parts: Parts, found: Session) -> Session:
    cited = {each.document_id for turn in found.turns if turn.answer for each in citations(turn.answer)} - {""}
    if not cited:
        return found
    today = parts.content_hashes(cited)
    return replace(found, turns=tuple(replace(turn, freshness=_freshness(turn, today)) for turn in found.turns))


def _freshness(turn: Turn, today: dict[str, str]) -> Freshness:
    """By content, so that a rename changes nothing; gone weighs more than changed."""
    states = set()
    for each in citations(turn.answer) if turn.answer else []:
        if not each.document_id:
            continue
        if each.document_id not in today:
            states.add(Freshness.GONE)
        elif today[each.document_id] != each.content_hash:
            states.add(Freshness.CHANGED)
    return next((state for state in (Freshness.GONE, Freshness.CHANGED) if state in states), Freshness.CURRENT)
