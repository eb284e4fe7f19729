"""Notices that a text goes round in circles; knows only its words."""

from __future__ import annotations

import re
from collections import deque

_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+")
_MEMORY = 400
_LONGEST_CYCLE = 60


class LoopWatch:
    """Fed with pieces of text; says when its last words are one cycle said over and over."""

    def __init__(self) -> None:
        self._open = ""
        self._words: deque[str] = deque(maxlen=_MEMORY)

    def feed(self, piece: str) -> bool:
        """Whether the text now ends in a cycle: one word 10 times, up to four words 6 times, more words 4 times."""
        self._open += piece
        found = False
        consumed = 0
        for match in _TOKEN.finditer(self._open):
            if match.end() == len(self._open):
                break
            self._words.append(match.group().casefold())
            consumed = match.end()
            found = found or self._cycles()
        self._open = self._open[consumed:][-_LONGEST_CYCLE:]
        return found

    def _cycles(self) -> bool:
        words = list(self._words)
        last = words[-1]
        for length in range(1, _LONGEST_CYCLE + 1):
            needed = _times(length)
            if length * needed > len(words):
                return False
            if length > 1 and words[-1 - length] != last:
                continue
            tail = words[-length * needed :]
            if tail == tail[:length] * needed and _is_speech(tail[:length]):
                return True
        return False


def _times(length: int) -> int:
    if length == 1:
        return 10
    return 6 if length <= 4 else 4


def _is_speech(cycle: list[str]) -> bool:
    """Rows of a table may hold the same numbers over and over."""
    return not all(word.isdigit() for word in cycle)
