"""The frozen values of kept conversations: turns and sessions; holds no behaviour beyond small derived properties.

Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from termrag import light
from termrag.kinds import Freshness as Freshness
from termrag.kinds import TurnState as TurnState
from termrag.records import Answer, Message


@light.dataclass(frozen=True, slots=True)
class Turn:
    """One question with its answer. `query` is what was searched: the question, or what a follow-up was resolved to.

    `answer.text` is exactly what the model said; while the state is writing or failed it is what came so far.
    """

    id: str
    session_id: str
    number: int
    question: str
    query: str
    state: TurnState
    asked_at: float
    answer: Answer | None = None
    error: str = ""
    freshness: Freshness = Freshness.CURRENT
    parent_id: str = ""  # the turn before it on this branch


@light.dataclass(frozen=True, slots=True)
class SessionInfo:
    """A conversation as a list shows it. `snippet` is where a search found its words."""

    id: str
    title: str
    created_at: float
    changed_at: float
    turns: int
    model: str = ""
    is_deleted: bool = False
    snippet: str = ""


@light.dataclass(frozen=True, slots=True)
class Session:
    """A conversation with its turns in order; those of the current branch."""

    info: SessionInfo
    turns: tuple[Turn, ...] = field(default=())


def messages(turns: Sequence[Turn]) -> list[Message]:
    """Questions and answers in turn; turns that brought no answer are left out."""
    return [
        Message(role, text)
        for turn in turns
        if turn.answer is not None and turn.answer.text.strip()
        for role, text in (("user", turn.question), ("assistant", turn.answer.text))
    ]
