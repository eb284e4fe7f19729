"""What all engines share about one generation: fixed template values, stop strings, counts, times; knows no model."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import time
import weakref
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from termrag.engines import EngineEvent, Piece, Prefill, Stream
from termrag.errors import EngineFailed
from termrag.pending import Pending
from termrag.records import Usage

# A chat template may ask for today's date (Llama 3.2 does). A fixed one keeps the prompt cache valid overnight; this is
# that template's own default. Models that can think aloud are asked not to: the passages are the reasoning.
TEMPLATE_VALUES = MappingProxyType({"date_string": "26 Jul 2024", "enable_thinking": False})

T = TypeVar("T")

_HEAD_BYTES = 1 << 20
REPETITION_WINDOW = 64  # tokens that the repetition penalty looks back on


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


def prefix_key(file: Path, engine: str, version: str, context_length: int) -> str:
    """Names what a prompt cache was made with: the model's file by size, time and beginning (its metadata, tokenizer
    and template), the engine, the window, and the values that fill the template."""
    about = file.stat()
    with file.open("rb") as data:
        head = hashlib.sha256(data.read(_HEAD_BYTES)).hexdigest()
    made = (about.st_size, about.st_mtime_ns, head, engine, version, context_length, sorted(TEMPLATE_VALUES.items()))
    return hashlib.sha256(repr(made).encode()).hexdigest()


def too_long(prompt_tokens: int, context_length: int) -> EngineFailed:
    """The error for a prompt that leaves no room for even one token."""
    return EngineFailed(
        f"the prompt has {prompt_tokens} tokens, and the context holds {context_length}",
        f"termrag config set models.context_tokens {2 * context_length}",
    )


class Feed(Generic[T]):
    """Items from one thread to another, which either blocks for the next or is told when it comes."""

    def __init__(self) -> None:
        self._items: SimpleQueue[T] = SimpleQueue()
        self._wanted: Pending | None = None
        self._told = 0.0

    def put(self, item: T, *, may_wait_s: float = 0.0) -> None:
        """Add an item. One that `may_wait_s` tells nobody who was told in the same stretch of that length; the next one
        will. Stretches begin at the same times for every feed: those that are fed in step wake their reader once."""
        self._items.put(item)
        now = time.monotonic()
        if may_wait_s and now // may_wait_s == self._told // may_wait_s:
            return
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self._told = now
            wanted.end()

    def rest(self) -> list[T]:
        """All that is there now."""
        items: list[T] = []
        with contextlib.suppress(Empty):
            while True:
                items.append(self._items.get_nowait())
        return items

    def get(self, timeout_s: float | None = None) -> T:
        """Block for the next item. Raises queue.Empty."""
        return self._items.get(timeout=timeout_s)

    def take(self) -> T | Pending:
        """The next item, or what is over once there is one."""
        try:
            return self._items.get_nowait()
        except Empty:
            wanted = self._wanted = Pending()
        if not self._items.empty():  # it came before anyone could be told
            wanted.end()
        return wanted


def waiting(events: Stream, beat_s: float | None = None) -> Generator[EngineEvent, None, None]:
    """For a caller who has nothing else to do: block where something is pending. With `beat_s` whoever pulls gets an
    event at least so often, and with it the chance to close."""
    last: EngineEvent = Piece("", tokens=0)
    with contextlib.closing(events):
        for event in events:
            if not isinstance(event, Pending):
                last = event
                yield event
                continue
            try:
                event.wait(beat_s)
            except TimeoutError:
                yield last if isinstance(last, Prefill) and last.done < last.total else Piece("", tokens=0)


class LatestStream:
    """Remembers the last stream of an engine's slot, weakly, so that the next one can end it: a slot has one cache."""

    def __init__(self) -> None:
        self._last: weakref.ref[Generator[Any, None, None]] | None = None

    def replace(self, stream: Generator[T, None, None]) -> Generator[T, None, None]:
        """Close the last stream, if it still runs, and remember this one."""
        self.close()
        self._last = weakref.ref(stream)
        return stream

    @property
    def is_running(self) -> bool:
        """Whether the last stream has begun and not ended."""
        last = self._last() if self._last else None
        return last is not None and inspect.getgeneratorstate(last) in (inspect.GEN_RUNNING, inspect.GEN_SUSPENDED)

    def close(self) -> None:
        """Close the last stream; idempotent."""
        last = self._last() if self._last else None
        self._last = None
        if last is not None:
            last.close()


class LatestStreams:
    """The same for each slot."""

    def __init__(self) -> None:
        self._slots: dict[int, LatestStream] = {}

    def alone(self, stream: Generator[T, None, None]) -> Generator[T, None, None]:
        """Close the last stream of every slot and remember this one, in slot 0."""
        self.close()
        return self.beside(0, stream)

    def beside(self, slot: int, stream: Generator[T, None, None]) -> Generator[T, None, None]:
        return self._slots.setdefault(slot, LatestStream()).replace(stream)

    def is_running(self, slot: int) -> bool:
        return slot in self._slots and self._slots[slot].is_running

    def close(self) -> None:
        """Close them all; idempotent."""
        for latest in self._slots.values():
            latest.close()
