"""What of a conversation goes into the next prompt; counts nothing and calls no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from termrag.records import Answer, Message, Verdict
from termrag.turns import Turn, TurnState


def history(turns: Sequence[Turn]) -> tuple[Message, ...]:
    """Questions and answers in turn, oldest first; turns that brought no answer are left out."""
    return tuple(message for turn in turns for message in _messages(turn))


def turns_of(messages: Sequence[Message]) -> tuple[Turn, ...]:
    """Messages of a conversation that is not kept, as turns: each question with the answer that follows it."""
    return tuple(_paired(messages))


def _messages(turn: Turn) -> Iterator[Message]:
    if turn.answer is not None and turn.answer.text.strip():
        yield Message("user", turn.question)
        yield Message("assistant", turn.answer.text)


def _paired(messages: Sequence[Message]) -> Iterator[Turn]:
    question = ""
    for message in messages:
        if message.role == "user":
            question = message.content
        elif message.role == "assistant" and question:
            answer = Answer(question, Verdict.GENERAL, message.content, message.content)
            yield Turn("", "", 0, question, question, TurnState.DONE, 0.0, answer)
            question = ""
