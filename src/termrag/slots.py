"""Which of a model's slots writes which answer: whoever finds none free waits in line; knows no engine.

An answer goes where the most of its prompt has been read before: where its conversation was last, else where the last
prompt began alike, else where nothing has been for the longest time. Used on one thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from termrag.pending import Pending
from termrag.records import Message

_ALIKE = 0.5  # of what a slot has read; fewer characters in common are a system text and not a conversation


@dataclass(slots=True)
class _Slot:
    number: int
    conversation: str = ""
    prompt: str = ""
    is_busy: bool = False
    used: int = 0  # by a count that rises


class Slots:
    """`count` slots, free and empty."""

    def __init__(self, count: int) -> None:
        self._slots = [_Slot(number) for number in range(count)]
        self._line: deque[Pending] = deque()
        self._promised = 0  # free, but for one who was called and has not come yet
        self._uses = 0

    def take(self, conversation: str, messages: Sequence[Message]) -> Generator[Pending, None, int]:
        """Wait in line, then hold the returned slot until `leave`. `conversation` is empty for one that is not
        kept."""
        if self._line or sum(not slot.is_busy for slot in self._slots) <= self._promised:
            yield from self._wait()
        prompt = _text(messages)
        slot = self._best(conversation, prompt)
        self._uses += 1
        slot.conversation, slot.prompt, slot.is_busy, slot.used = conversation, prompt, True, self._uses
        return slot.number

    def leave(self, number: int) -> None:
        self._slots[number].is_busy = False
        self._call_next()

    def _wait(self) -> Generator[Pending, None, None]:
        place = Pending()
        self._line.append(place)
        try:
            while not place.is_over:
                yield place
        except BaseException:
            if place.is_over:  # the turn came in the same moment
                self._promised -= 1
                self._call_next()
            else:
                self._line.remove(place)
            raise
        self._promised -= 1

    def _call_next(self) -> None:
        if self._line:
            self._promised += 1
            self._line.popleft().end()

    def _best(self, conversation: str, prompt: str) -> _Slot:
        free = [slot for slot in self._slots if not slot.is_busy]
        if conversation:
            for slot in free:
                if slot.conversation == conversation:
                    return slot
        alike = max(free, key=lambda slot: _alike(slot, prompt))
        return alike if _alike(alike, prompt) >= _ALIKE else min(free, key=lambda slot: slot.used)


def _alike(slot: _Slot, prompt: str) -> float:
    """How much of what the slot has read the prompt begins with, between 0 and 1."""
    if not slot.prompt:
        return 0.0
    low, high = 0, min(len(slot.prompt), len(prompt))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if slot.prompt.startswith(prompt[:middle]) else (low, middle - 1)
    return low / len(slot.prompt)


def _text(messages: Sequence[Message]) -> str:
    return "\x1e".join(f"{message.role}\x1f{message.content}" for message in messages)
