"""What every engine does with the text it generates: hold back stop strings, count and time; knows no model."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from termrag.records import Usage


class StopFilter:
    """Lets text through up to the first stop string, which may be spread over several pieces.

    Text that could still become a stop string is held back until the next piece decides. Where several stop strings
    begin in the same text, the one that begins first ends it.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """The part of all text so far that is safe to show now; empty after a stop string was seen."""
        if not self._stops or self.stopped:
            return "" if self.stopped else text
        text = self._held + text
        starts = [start for stop in self._stops if (start := text.find(stop)) >= 0]
        if starts:
            self.stopped, self._held = True, ""
            return text[: min(starts)]
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """What was held back, once no more text can come."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`, but not all of it."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0


class Stopwatch:
    """Times one generation from the moment it is made."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._first: float | None = None
        self.generated = 0

    def token(self, count: int = 1) -> None:
        """Note that `count` more tokens exist now."""
        self._last = time.perf_counter()
        if self._first is None:
            self._first = self._last
        self.generated += count

    def usage(self, prompt_tokens: int, cached_tokens: int) -> Usage:
        """Counts and timings so far. The first token is part of the prompt's time, not of the decoding's."""
        first_s = (self._first or self._last) - self._start
        decode_s = self._last - (self._first or self._last)
        return Usage(
            prompt_tokens=prompt_tokens,
            cached_tokens=cached_tokens,
            generated_tokens=self.generated,
            first_token_s=first_s,
            tokens_per_second=(self.generated - 1) / decode_s if decode_s > 0 else 0.0,
            prompt_tokens_per_second=(prompt_tokens - cached_tokens) / first_s if first_s > 0 else 0.0,
        )


def common_prefix(left: Sequence[object], right: Sequence[object]) -> int:
    """How many items both begin with alike."""
    length = 0
    for a, b in zip(left, right, strict=False):
        if a != b:
            break
        length += 1
    return length
