"""Messages under one token budget, and the context ledger that says what went in and what was cut; calls no model.

The system text is fixed and holds nothing of the request, the passages stand in the last user turn in stable order:
so the engine's prompt cache keeps the longest possible prefix from turn to turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from termrag.errors import EngineFailed
from termrag.focus import focus
from termrag.records import Budget, BudgetLine, Message, Passage

SYSTEM = "Answer the question in one to three short sentences. Use only the passages."
GENERAL = "You are a helpful assistant. Answer in a few short sentences."
# Measured on small models: said before the question it halves the answers that run on without end.
_REMINDER = "Answer in one short sentence, using only the text above."

Count = Callable[[Sequence[Message]], int]
Shown = tuple[Passage, str]  # a passage, and what of its text is shown


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
    characters: int = 0,
) -> Prompt:
    """Fit instructions, history, passages and question into `limit` tokens, exactly counted by `count`.

    `characters` is how much passage text the model reads with profit; 0 for all of it. Passages give way first, the
    weakest before the stronger, all but one; then history, oldest first. The ledger's lines that are not cut sum to
    the prompt's exact length. Raises EngineFailed if not even the question fits.
    """
    kept = focus(passages, question, characters) if characters else [(each, each.text) for each in passages]
    turns = list(history)
    cut = _left_out(passages, kept, count)
    while count(_messages(system, turns, kept, question)) > limit:
        if len(kept) > 1 or (kept and not turns):
            weakest = min(kept, key=lambda shown: shown[0].score)
            kept.remove(weakest)
            cut.append(_cut_line(weakest, count, "no room: weakest passage"))
        elif turns:
            old = turns[: (len(turns) // 4 or 1) * 2]
            cut.append(BudgetLine(f"{len(old)} old messages", count(old), "no room: oldest"))
            turns = turns[len(old) :]
        else:
            needed = count(_messages(system, [], [], question))
            raise EngineFailed(
                f"the question alone takes {needed} tokens, the window leaves {limit}",
                "termrag config set models.context_tokens 8192",
            )
    kept = [(replace(passage, number=number), text) for number, (passage, text) in enumerate(kept, 1)]
    lines = _ledger(system, turns, kept, question, count)
    total = sum(line.tokens for line in lines)
    messages = tuple(_messages(system, turns, kept, question))
    return Prompt(messages, tuple(passage for passage, _ in kept), Budget(limit, total, (*lines, *cut)))


def _messages(system: str, history: Sequence[Message], shown: Sequence[Shown], question: str) -> list[Message]:
    return [Message("system", system), *history, Message("user", _user_turn(shown, question))]


def _user_turn(shown: Sequence[Shown], question: str) -> str:
    if not shown:
        return question
    blocks = [f"From {_source(passage)}:\n{text.strip()}" for passage, text in shown]
    return "\n\n".join([*blocks, f"{_REMINDER}\nQuestion: {question}"])


def _source(passage: Passage) -> str:
    name = passage.path.rsplit("/", 1)[-1]
    return f"{name}, {passage.heading}" if passage.heading else name


def _left_out(passages: Sequence[Passage], kept: Sequence[Shown], count: Count) -> list[BudgetLine]:
    """What focus left nothing of, and what it shortened, each with what was saved."""
    shown = {passage.number: text for passage, text in kept}
    lines = []
    for passage in passages:
        whole = _size((passage, passage.text), count)
        if passage.number not in shown:
            lines.append(BudgetLine(f"passage {passage.place}", whole, "nothing in it is near the question"))
        elif (part := _size((passage, shown[passage.number]), count)) < whole:
            lines.append(
                BudgetLine(f"rest of {passage.place}", whole - part, "a small model reads the nearest sentences")
            )
    return lines


def _cut_line(shown: Shown, count: Count, why: str) -> BudgetLine:
    return BudgetLine(f"passage {shown[0].place}", _size(shown, count), why)


def _size(shown: Shown, count: Count) -> int:
    return count([Message("user", _user_turn([shown], ""))]) - count([Message("user", "")])


def _ledger(
    system: str, history: Sequence[Message], shown: Sequence[Shown], question: str, count: Count
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
    for index, (passage, _) in enumerate(shown, 1):
        grow(f"passage {passage.number} {passage.place}", _messages(system, history, shown[:index], question))
    return lines
