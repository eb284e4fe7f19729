"""What of a conversation goes into a prompt: the last turns in full, older ones shortened, the oldest not at all, and
earlier ones that the question speaks of. Pure: it estimates tokens and counts none.

Turns move from full to short, and from short to dropped, several at once and by a rule that looks at nothing but the
turns themselves: so the beginning of the prompt stays the same for many questions, and the engine's cache with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from termrag.analysis import Keyword, keywords, terms
from termrag.records import Answer, Message, Passage, Support, Verdict
from termrag.turns import Turn, TurnState

_FULL = 0.76, 0.38  # share of the allowance that turns in full may grow to, and are cut back to
_SHORT = 0.24, 0.12  # the same for shortened ones
_BYTES_PER_TOKEN = 4
_FRAME_TOKENS = 6  # what a chat template puts around a message
_LONGEST_SHORT = 300  # characters of a shortened question or answer
_MOST_RECALLED = 2
_RECALL_SHARE = 0.6  # of the question's words that a recalled turn must hold
_BEGINNING = 3  # letters of a word that its stem keeps
_FEWEST_WORDS = 2  # a question of one word calls up anything
_SAME_SHARE = 0.8  # of the passages found: with fewer the last turn's do not stand for them


@dataclass(frozen=True, slots=True)
class Memory:
    """Turns by what becomes of them, each oldest first; `recalled` best first. `full` follow `short` in time."""

    full: tuple[Turn, ...] = ()
    short: tuple[Turn, ...] = ()
    dropped: tuple[Turn, ...] = ()
    unanswered: tuple[Turn, ...] = ()
    recalled: tuple[Turn, ...] = ()


def remember(turns: Sequence[Turn], tokens: int) -> Memory:
    """Sort turns, oldest first, into what about `tokens` hold. The last one stays in full whatever its length."""
    full, short, dropped = _Pool(_FULL, tokens, in_full), _Pool(_SHORT, tokens, in_short), list[Turn]()
    for turn in turns:
        if _is_answered(turn):
            full.add(turn)
            for older in full.overflow(least=1):
                short.add(older)
            dropped += short.overflow(least=0)
    unanswered = tuple(turn for turn in turns if not _is_answered(turn))
    return Memory(tuple(full.turns), tuple(short.turns), tuple(dropped), unanswered)


def recall(query: str, candidates: Sequence[Turn], shown: Collection[Turn]) -> tuple[Turn, ...]:
    """The turns that hold most of the query's words, best first, the latest of equals first; none that are shown."""
    wanted = keywords(query)
    if len(wanted) < _FEWEST_WORDS:
        return ()
    known = {turn.id for turn in shown if turn.id}
    scored = [
        (_held(wanted, turn), turn.asked_at, turn)
        for turn in candidates
        if turn.id not in known and turn not in shown and _is_answered(turn)
    ]
    best = sorted((each for each in scored if each[0] >= _RECALL_SHARE), key=lambda each: (-each[0], -each[1]))
    return tuple(turn for _, _, turn in best[:_MOST_RECALLED])


def standing(turns: Sequence[Turn], passages: Sequence[Passage]) -> tuple[Turn, ...]:
    """The last turns that stand on one set of passages, if it holds the best of `passages` and four fifths of them all:
    their first one's passages then serve for the next question too."""
    if not turns or not passages or not _is_answered(turns[-1]):
        return ()
    old = _pieces(_passages(turns[-1]))
    new = _pieces(passages)
    best = _pieces([max(passages, key=lambda passage: passage.score)])
    if not best or not best <= old or len(new & old) < _SAME_SHARE * len(new):
        return ()
    run = 1
    while run < len(turns) and _is_answered(turns[-run - 1]) and _passages(turns[-run - 1]) == _passages(turns[-1]):
        run += 1
    return tuple(turns[-run:])


def in_full(turn: Turn) -> tuple[Message, Message]:
    """Question and answer as they were."""
    return Message("user", turn.question), Message("assistant", turn.answer.text if turn.answer else "")


def in_short(turn: Turn) -> tuple[Message, Message]:
    """The question and the first sentence of the answer that rests on a passage."""
    sentences = turn.answer.sentences if turn.answer else ()
    first = next((each.text for each in sentences if each.support is Support.SUPPORTED), "")
    text = first or (sentences[0].text if sentences else in_full(turn)[1].content)
    return Message("user", _cut(turn.question)), Message("assistant", _cut(text))


def about_tokens(messages: Sequence[Message]) -> int:
    """Roughly how many tokens messages take."""
    return sum(_FRAME_TOKENS + len(message.content.encode()) // _BYTES_PER_TOKEN for message in messages)


def turns_of(messages: Sequence[Message]) -> tuple[Turn, ...]:
    """Messages of a conversation that is not kept, as turns: each question with the answer that follows it."""
    return tuple(_paired(messages))


class _Pool:
    """Turns that give way, oldest first, down to the lower mark once they have grown above the upper."""

    def __init__(self, shares: tuple[float, float], tokens: int, form: Callable[[Turn], Sequence[Message]]) -> None:
        self.turns: list[Turn] = []
        self._upper, self._lower = (share * tokens for share in shares)
        self._form = form
        self._size = 0

    def add(self, turn: Turn) -> None:
        self.turns.append(turn)
        self._size += about_tokens(self._form(turn))

    def overflow(self, least: int) -> Iterator[Turn]:
        if self._size <= self._upper:
            return
        while self._size > self._lower and len(self.turns) > least:
            turn = self.turns.pop(0)
            self._size -= about_tokens(self._form(turn))
            yield turn


def _is_answered(turn: Turn) -> bool:
    return turn.answer is not None and bool(turn.answer.text.strip())


def _passages(turn: Turn) -> tuple[Passage, ...]:
    return turn.answer.passages if turn.answer else ()


def _pieces(passages: Sequence[Passage]) -> set[tuple[str, str]]:
    """The chunks in passages, as they were read: a changed document has other ones."""
    return {(chunk_id, passage.content_hash) for passage in passages for chunk_id in passage.chunk_ids}


def _held(wanted: Sequence[Keyword], turn: Turn) -> float:
    question, answer = in_full(turn)
    text = f"{question.content}\n{answer.content}"
    lowered = text.lower()
    if sum(keyword.weight for keyword in wanted if _may_hold(lowered, keyword.word)) < _RECALL_SHARE:
        return 0.0  # analysing words costs more than looking for their beginnings
    found = set(terms(text, "").split())
    return sum(keyword.weight for keyword in wanted if keyword.is_in(found))


def _may_hold(lowered: str, word: str) -> bool:
    return not word.isascii() or word[:_BEGINNING].lower() in lowered


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _LONGEST_SHORT else text[:_LONGEST_SHORT].rsplit(" ", 1)[0] + " …"


def _paired(messages: Sequence[Message]) -> Iterator[Turn]:
    question = ""
    for message in messages:
        if message.role == "user":
            question = message.content
        elif message.role == "assistant" and question:
            answer = Answer(question, Verdict.GENERAL, message.content, message.content)
            yield Turn("", "", 0, question, question, TurnState.DONE, 0.0, answer)
            question = ""
