"""Messages under one token budget, and the context ledger that says what went in and what was cut; calls no model.

The system text is fixed and holds nothing of the request, what is remembered stands before what was found, and the
passages stand in the last user turn in stable order: so the engine's prompt cache keeps the longest possible prefix
from turn to turn. Where the last turns' passages serve for this question too, those turns stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from termrag.errors import QuestionTooLong
from termrag.focus import focus
from termrag.memory import Memory, about_tokens, in_full, in_short, standing
from termrag.records import Budget, BudgetLine, Message, Passage
from termrag.turns import Turn

SYSTEM = "Answer the question in one to three short sentences. Use only the passages."
GENERAL = "You are a helpful assistant. Answer in a few short sentences."
# Measured on small models: said before the question it halves the answers that run on without end.
_REMINDER = "Answer in one short sentence, using only the text above."
_RECALLED = "Said before in another place:"
_FRAME_TOKENS = 64  # that a template puts around a message, at most

Count = Callable[[Sequence[Message]], int]
Shown = tuple[Passage, str]  # a passage, and what of its text is shown


@dataclass(frozen=True, slots=True)
class _Layout:
    """All that a prompt is made of. `standing` are the last turns, if the passages in the first of them serve."""

    system: str
    question: str
    short: tuple[Turn, ...] = ()
    full: tuple[Turn, ...] = ()
    standing: tuple[Turn, ...] = ()
    shown: tuple[Shown, ...] = ()
    recalled: tuple[Turn, ...] = ()

    @property
    def messages(self) -> list[Message]:
        before = [message for turn in self.short for message in in_short(turn)]
        before += [message for turn in self.full for message in in_full(turn)]
        for index, turn in enumerate(self.standing):
            question, answer = in_full(turn)
            shown = self.shown if index == 0 else ()
            before += [Message("user", _user_turn(shown, (), question.content)), answer]
        last = _user_turn(() if self.standing else self.shown, self.recalled, self.question)
        return [Message("system", self.system), *before, Message("user", last)]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent, and the passages that are in it (renumbered from 1)."""

    messages: tuple[Message, ...]
    passages: tuple[Passage, ...]
    _layout: _Layout
    _limit: int
    _cut: tuple[BudgetLine, ...]
    _count: Count

    @property
    def budget(self) -> Budget:
        """What it costs, counted now: the tokenizer is asked once for each part, which no first token should wait
        for."""
        lines = _ledger(self._layout, self._count)
        return Budget(self._limit, sum(line.tokens for line in lines), (*lines, *self._cut))


def pack(
    question: str,
    passages: Sequence[Passage],
    *,
    query: str = "",
    memory: Memory | None = None,
    limit: int,
    count: Count,
    system: str = SYSTEM,
    characters: int = 0,
) -> Prompt:
    """Fit instructions, memory, passages and question into `limit` tokens, exactly counted by `count`.

    `query` is what was searched, if it is not the question: a follow-up is put as it was asked (small models answer
    twice as many that way), but its passages are shortened by what it means. `characters` is how much passage text the
    model reads with profit; 0 for all of it. What was recalled gives way
    first, then passages, the weakest before the stronger, all but one; then turns, oldest first, which are shortened
    before they are dropped. The ledger's lines that are not cut sum to the prompt's exact length; for what is cut they
    say roughly what was saved: an exact count asks the model's tokenizer. Raises QuestionTooLong if not even the
    question fits.
    """
    memory = memory or Memory()
    layout = _standing(question, passages, memory, system, limit, count) if not characters else None
    cut = _forgotten(memory)
    if layout is None:
        kept = (
            focus(passages, query or question, characters) if characters else [(each, each.text) for each in passages]
        )
        cut = [*_left_out(passages, kept), *cut]
        layout = _Layout(system, question, memory.short, memory.full, shown=tuple(kept), recalled=memory.recalled)
    while not _fits(layout, limit, count):
        layout, lines = _smaller(layout, limit, count)
        cut += lines
    shown = tuple((replace(passage, number=number), text) for number, (passage, text) in enumerate(layout.shown, 1))
    layout = replace(layout, shown=shown)
    passages_shown = tuple(passage for passage, _ in shown)
    return Prompt(tuple(layout.messages), passages_shown, layout, limit, tuple(cut), count)


def _fits(layout: _Layout, limit: int, count: Count) -> bool:
    """Counted only where it is not plain: no token is shorter than a byte."""
    messages = layout.messages
    most = sum(len(message.content.encode("utf-8", "replace")) + _FRAME_TOKENS for message in messages)
    return most <= limit or count(messages) <= limit


def _standing(
    question: str, passages: Sequence[Passage], memory: Memory, system: str, limit: int, count: Count
) -> _Layout | None:
    """The layout that appends to the last turns as they were, if their passages serve and all fits."""
    stand = standing(memory.full, passages)
    if not stand or stand[0].answer is None:
        return None
    shown = tuple((passage, passage.text) for passage in stand[0].answer.passages)
    before = memory.full[: len(memory.full) - len(stand)]
    layout = _Layout(system, question, memory.short, before, stand, shown, memory.recalled)
    return layout if _fits(layout, limit, count) else None


def _smaller(layout: _Layout, limit: int, count: Count) -> tuple[_Layout, list[BudgetLine]]:
    """The layout without what can best be done without, and what that was."""
    if layout.recalled:
        *rest, last = layout.recalled
        line = BudgetLine("a recalled turn", about_tokens(in_short(last)), "no room: what was found comes first")
        return replace(layout, recalled=tuple(rest)), [line]
    turns = layout.short or layout.full
    if len(layout.shown) > 1 or (layout.shown and not turns):
        weakest = min(layout.shown, key=lambda shown: shown[0].score)
        line = BudgetLine(f"passage {weakest[0].place}", _size(weakest), "no room: weakest passage")
        return replace(layout, shown=tuple(each for each in layout.shown if each is not weakest)), [line]
    if layout.full:
        older = layout.full[: len(layout.full) // 4 or 1]
        line = _shortened(older, "no room: oldest")
        return replace(layout, short=(*layout.short, *older), full=layout.full[len(older) :]), [line]
    if layout.short:
        older = layout.short[: len(layout.short) // 2 or 1]
        return replace(layout, short=layout.short[len(older) :]), [_dropped(older, "no room: oldest")]
    raise QuestionTooLong(
        f"the question alone takes {count(layout.messages)} tokens, the window leaves {limit}",
        "termrag config set models.context_tokens 8192",
    )


def _forgotten(memory: Memory) -> list[BudgetLine]:
    """What the memory left out before anything was counted."""
    lines = []
    if memory.unanswered:
        tokens = sum(about_tokens([in_full(turn)[0]]) for turn in memory.unanswered)
        lines.append(BudgetLine(_turns(memory.unanswered, "without an answer"), tokens, "nothing was answered"))
    if memory.short:
        lines.append(_shortened(memory.short, "older turns keep the sentence that answers"))
    if memory.dropped:
        lines.append(_dropped(memory.dropped, "the conversation has grown longer than its share"))
    return lines


def _shortened(turns: Sequence[Turn], why: str) -> BudgetLine:
    saved = sum(about_tokens(in_full(turn)) - about_tokens(in_short(turn)) for turn in turns)
    return BudgetLine(f"rest of {_turns(turns, 'of the conversation')}", max(0, saved), why)


def _dropped(turns: Sequence[Turn], why: str) -> BudgetLine:
    return BudgetLine(_turns(turns, "of the conversation"), sum(about_tokens(in_short(turn)) for turn in turns), why)


def _turns(turns: Sequence[Turn], which: str) -> str:
    return f"{len(turns)} turn{'s' if len(turns) > 1 else ''} {which}"


def _user_turn(shown: Sequence[Shown], recalled: Sequence[Turn], question: str) -> str:
    if not shown and not recalled:
        return question
    blocks = [f"From {_source(passage)}:\n{text.strip()}" for passage, text in shown]
    if recalled:
        said = [f"{asked.content.strip()} {told.content.strip()}" for asked, told in map(in_short, recalled)]
        blocks.append("\n".join([_RECALLED, *said]))
    return "\n\n".join([*blocks, f"{_REMINDER}\nQuestion: {question}"])


def _source(passage: Passage) -> str:
    name = passage.path.rsplit("/", 1)[-1]
    return f"{name}, {passage.heading}" if passage.heading else name


def _left_out(passages: Sequence[Passage], kept: Sequence[Shown]) -> list[BudgetLine]:
    """What focus left nothing of, and what it shortened, each with what was saved."""
    shown = {passage.number: text for passage, text in kept}
    lines = []
    for passage in passages:
        whole = _size((passage, passage.text))
        if passage.number not in shown:
            lines.append(BudgetLine(f"passage {passage.place}", whole, "nothing in it is near the question"))
        elif (part := _size((passage, shown[passage.number]))) < whole:
            lines.append(
                BudgetLine(f"rest of {passage.place}", whole - part, "a small model reads the nearest sentences")
            )
    return lines


def _size(shown: Shown) -> int:
    return about_tokens([Message("user", _user_turn([shown], (), ""))])


def _ledger(layout: _Layout, count: Count) -> list[BudgetLine]:
    """Cost of each part as the growth it causes, so that the parts sum to the whole to the token."""
    grown = _Layout(layout.system, "")
    before = count(grown.messages)
    lines = [BudgetLine("instructions", before)]

    def grow(part: str, larger: _Layout) -> None:
        nonlocal grown, before
        grown, after = larger, count(larger.messages)
        lines.append(BudgetLine(part, after - before))
        before = after

    if layout.short:
        grow(_turns(layout.short, "shortened"), replace(grown, short=layout.short))
    if layout.full or layout.standing:
        turns = (*layout.full, *layout.standing)
        grow(_turns(turns, "in full"), replace(grown, full=layout.full, standing=layout.standing))
    grow("question", replace(grown, question=layout.question))
    for index, (passage, _) in enumerate(layout.shown, 1):
        grow(f"passage {passage.number} {passage.place}", replace(grown, shown=layout.shown[:index]))
    if layout.recalled:
        grow(_turns(layout.recalled, "recalled"), replace(grown, recalled=layout.recalled))
    return lines
