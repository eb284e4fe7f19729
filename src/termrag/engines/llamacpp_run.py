"""One generation of llama.cpp on a thread of its own, and how its requests, chunks and errors are spelled."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from termrag.engines import Done, EngineEvent, Piece, Prefill
from termrag.engines.generation import REPETITION_WINDOW, TEMPLATE_VALUES, Feed, StopFilter, Stopwatch, too_long
from termrag.errors import EngineFailed
from termrag.records import Message, Sampling


class Run:
    """One generation on its own thread: the native call blocks, so its callback fills a feed that the caller drains.

    The feed needs no bound of its own: llama.cpp decodes ahead of the callback anyway, to max_tokens at most.
    """

    def __init__(
        self, server: Any, body: dict[str, Any], stop: StopFilter, watch: Stopwatch, pace_s: Callable[[], float]
    ) -> None:
        self.events: Feed[EngineEvent | EngineFailed] = Feed()
        self._pace_s = pace_s
        self._stop = stop
        self._watch = watch
        self._progress: dict[str, int] = {"total": 0, "cache": 0}
        self._stopped = threading.Event()
        self._reason = ""
        self._ended = False
        # A daemon: interpreters join other threads before atexit, where nobody has told this one to stop yet.
        self._thread = threading.Thread(target=self._call, args=(server, body), name="llamacpp", daemon=True)
        self._thread.start()

    @property
    def held_tokens(self) -> int:
        """About what llama.cpp has of this prompt and its answer."""
        return self._progress["total"] + self._watch.generated

    @property
    def has_ended(self) -> bool:
        """Whether all of it was told; its thread may be a moment behind."""
        return self._ended

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def leave(self) -> None:
        """Make the next callback end the generation."""
        self._stopped.set()

    def stop(self) -> None:
        """The same, and wait for it."""
        self.leave()
        self._thread.join()

    def _call(self, server: Any, body: dict[str, Any]) -> None:
        try:
            server.handle_chat_completions(body, self._take)
        except (RuntimeError, ValueError) as error:
            self._end(EngineFailed(f"llama.cpp failed: {error}"))
        self._end(EngineFailed("llama.cpp stopped before its answer was complete"))

    def _end(self, event: Done | EngineFailed) -> None:
        if not self._ended:
            self._ended = True
            self.events.put(event)

    def _take(self, chunk: dict[str, Any]) -> bool:
        """Callback of llama.cpp for every chunk; True stops it. An exception here would vanish in native code."""
        try:
            self._read(chunk)
        except (LookupError, TypeError, AttributeError) as error:
            self._end(EngineFailed(f"llama.cpp sent something unexpected: {error!r}"))
            return True
        return self._stopped.is_set()

    def _read(self, chunk: dict[str, Any]) -> None:
        if "error" in chunk:
            self._end(failure(chunk["error"]))
            return
        if progress := chunk.get("prompt_progress"):
            self._progress = progress
            self.events.put(Prefill(max(progress["processed"], progress["cache"]), progress["total"]))
        for choice in chunk.get("choices", ()):
            if text := choice["delta"].get("content"):
                pace_s = self._pace_s() if self._watch.generated else 0.0  # the first is waited for
                self._watch.token(chunk["timings"]["predicted_n"] - self._watch.generated)
                self.events.put(Piece(self._stop.feed(text)), may_wait_s=pace_s)
            self._reason = choice.get("finish_reason") or self._reason
        if self._stop.stopped:
            self._done("stop", self._progress["total"], self._progress["cache"])
        elif usage := chunk.get("usage"):
            self.events.put(Piece(self._stop.flush(), tokens=0))
            self._watch.generated = usage["completion_tokens"]
            cached = usage["prompt_tokens_details"]["cached_tokens"]
            self._done(self._reason or "stop", usage["prompt_tokens"], cached)

    def _done(self, reason: str, prompt_tokens: int, cached_tokens: int) -> None:
        self._end(Done(reason, self._watch.usage(prompt_tokens, cached_tokens)))
        self._stopped.set()


def together(events: Iterable[EngineEvent | EngineFailed]) -> Iterator[EngineEvent | EngineFailed]:
    """Pieces that came one after the other as one."""
    for is_text, group in itertools.groupby(events, key=lambda event: isinstance(event, Piece)):
        if is_text:
            pieces = [event for event in group if isinstance(event, Piece)]
            yield Piece("".join(each.text for each in pieces), sum(each.tokens for each in pieces))
        else:
            yield from group


def request_body(messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
    """The request, as llama-server spells it. Without the stop strings: what it holds back for them is lost where the
    answer ends otherwise. Of greedy sampling only the likeliest token matters, whatever else is set: llama.cpp would
    put the whole vocabulary in order for `top_p` first, at every token."""
    if sampling.temperature <= 0:
        sampling = replace(sampling, top_k=1, top_p=1.0, min_p=0.0)
    return {
        "messages": plain(messages),
        "chat_template_kwargs": dict(TEMPLATE_VALUES),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "timings_per_token": True,
        "cache_prompt": True,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repetition_penalty,
        "repeat_last_n": REPETITION_WINDOW,
        "seed": -1 if sampling.seed is None else sampling.seed,
        "max_tokens": sampling.max_tokens,
    }


def plain(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def failure(error: dict[str, Any]) -> EngineFailed:
    if error.get("type") == "exceed_context_size_error":
        return too_long(error["n_prompt_tokens"], error["n_ctx"])
    return EngineFailed(f"llama.cpp refused: {error.get('message', error)}")
