"""Messages under one token budget, and the context ledger that says what went in and what was cut; calls no model.

The system text is fixed and holds nothing of the request, the passages stand in the last user turn in stable order:
so the engine's prompt cache keeps the longest possible prefix from turn to turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from termrag.errors import EngineFailed
from termrag.records import Budget, BudgetLine, Message, Passage

SYSTEM = (
    "You answer questions from the user's own documents. Use only the passages given with the question. "
    "Answer in one to three short sentences. If the passages do not contain the answer, say that they do not."
)
GENERAL = "You are a helpful assistant. Answer in a few short sentences."

Count = Callable[[Sequence[Message]], int]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent, the passages that are in it (renumbered from 1), and what it costs."""

    messages: tuple[Message, ...]
    passages: tuple[Passage, ...]
    budget: Budget


def pack(
    question: str,
    passages: Sequence[Passage],
    *,
    history: Sequence[Message] = (),
    limit: int,
    count: Count,
    system: str = SYSTEM,
) -> Prompt:
    """Fit instructions, history, passages and question into `limit` tokens, exactly counted by `count`.

    Passages give way first, the weakest before the stronger; then history, in halves, oldest first. The ledger's
    lines that are not cut sum to the prompt's exact length. Raises EngineFailed if not even the question fits.
    """
    kept, turns = list(passages), list(history)
    cut: list[BudgetLine] = []
    while count(_messages(system, turns, kept, question)) > limit:
        if len(kept) > 1 or (kept and not turns):
            weakest = min(kept, key=lambda passage: passage.score)
            kept.remove(weakest)
            cut.append(BudgetLine(f"passage {weakest.place}", _size(weakest, count), "no room: weakest passage"))
        elif turns:
            dropped = (len(turns) // 4 or 1) * 2
            cut.append(
                BudgetLine(f"{min(dropped, len(turns))} old messages", count(turns[:dropped]), "no room: oldest")
            )
            turns = turns[dropped:]
        else:
            needed = count(_messages(system, [], [], question))
            raise EngineFailed(
                f"the question alone takes {needed} tokens, the window leaves {limit}",
                "termrag config set models.context_tokens 8192",
            )
    kept = [replace(passage, number=number) for number, passage in enumerate(kept, 1)]
    lines = _ledger(system, turns, kept, question, count)
    total = sum(line.tokens for line in lines)
    return Prompt(tuple(_messages(system, turns, kept, question)), tuple(kept), Budget(limit, total, (*lines, *cut)))


def _messages(system: str, history: Sequence[Message], passages: Sequence[Passage], question: str) -> list[Message]:
    return [Message("system", system), *history, Message("user", _user_turn(passages, question))]


def _user_turn(passages: Sequence[Passage], question: str) -> str:
    if not passages:
        return question
    blocks = [f"Passage {passage.number} ({_source(passage)}):\n{passage.text.strip()}" for passage in passages]
    return "\n\n".join([*blocks, f"Question: {question}"])


def _source(passage: Passage) -> str:
    name = passage.path.rsplit("/", 1)[-1]
    return f"{name}, {passage.heading}" if passage.heading else name


def _size(passage: Passage, count: Count) -> int:
    return count([Message("user", _user_turn([passage], ""))]) - count([Message("user", "")])


def _ledger(
    system: str, history: Sequence[Message], passages: Sequence[Passage], question: str, count: Count
) -> list[BudgetLine]:
    """Cost of each part as the growth it causes, so that the parts sum to the whole to the token."""
    before = count(_messages(system, [], [], ""))
    lines = [BudgetLine("instructions", before)]

    def grow(part: str, messages: list[Message]) -> None:
        nonlocal before
        after = count(messages)
        lines.append(BudgetLine(part, after - before))
        before = after

    if history:
        grow(f"history ({len(history)} messages)", _messages(system, history, [], ""))
    grow("question", _messages(system, history, [], question))
    for index, passage in enumerate(passages, 1):
        grow(f"passage {passage.number} {passage.place}", _messages(system, history, passages[:index], question))
    return lines
