"""Several generations in one batch of mlx-lm's, stepped by whoever wants the next event; knows token ids, no messages.

Each step gives every running generation one token, and reads one step of the prompts that have just come. What the
others get meanwhile waits for them, at most what they asked for. A generation with a seed runs alone: MLX draws the
numbers of all of them from one source.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from termrag.engines import Done, EngineEvent, Piece, Prefill
from termrag.engines.generation import REPETITION_WINDOW, StopFilter, Stopwatch, common_prefix
from termrag.errors import EngineFailed
from termrag.records import Sampling


@dataclass(frozen=True, slots=True)
class Held:
    """A prompt cache and the tokens it holds."""

    ids: list[int]
    layers: list[Any]

    @property
    def is_true(self) -> bool:
        """A cache out of step with what we know of it is worth nothing."""
        return bool(self.layers) and self.layers[0].offset == len(self.ids)

    def shared_with(self, ids: Sequence[int]) -> int:
        """How many tokens of it serve the prompt `ids`, whose last is always evaluated."""
        from mlx_lm.models.cache import can_trim_prompt_cache

        shared = min(common_prefix(self.ids, ids), len(ids) - 1)
        return shared if shared == len(self.ids) or can_trim_prompt_cache(self.layers) else 0

    def beginning(self, length: int) -> list[Any]:
        """A cache of its first tokens; this one stays as it is: a batch copies what it is given."""
        from mlx_lm.models.cache import trim_prompt_cache

        layers = [copy.copy(layer) for layer in self.layers]
        trim_prompt_cache(layers, len(self.ids) - length)
        return layers


@dataclass(slots=True, eq=False)
class _Sequence:
    """One generation: waiting (no `uid`), running, or over."""

    slot: int
    ids: list[int]
    sampling: Sampling
    limit: int
    watch: Stopwatch
    detokenizer: Any
    stop: StopFilter
    uid: int | None = None
    cached: int = 0
    is_over: bool = False
    events: deque[EngineEvent | EngineFailed] = field(default_factory=deque)

    @property
    def is_alone(self) -> bool:
        return self.sampling.seed is not None

    def end(self, event: Done | EngineFailed) -> None:
        self.is_over = True
        self.events.append(event)

    def take(self, token: int, reason: str | None) -> str:
        """Read the next token; the reason if it ends the answer."""
        self.watch.token()
        if reason != "stop":
            self.detokenizer.add_token(token)
            self.events.append(Piece(self.stop.feed(self.detokenizer.last_segment)))
        if reason and not self.stop.stopped:
            self.detokenizer.finalize()
            rest = self.stop.feed(self.detokenizer.last_segment)
            self.events.append(Piece(rest + self.stop.flush(), tokens=0))
        if self.stop.stopped:
            return "stop"
        return reason or ""

    def done(self, reason: str) -> None:
        self.end(Done(reason, self.watch.usage(len(self.ids), self.cached)))


class Batch:
    """At most `slots` generations of one loaded model at once; the others wait in the order of their coming. Used on
    the thread that loaded the model."""

    def __init__(self, model: Any, tokenizer: Any, *, slots: int, step_tokens: int) -> None:
        from mlx_lm.generate import BatchGenerator

        self.held: dict[int, Held] = {}
        self._tokenizer = tokenizer
        self._slots = slots
        self._running: dict[int, _Sequence] = {}
        self._waiting: deque[_Sequence] = deque()
        with contextlib.redirect_stdout(io.StringIO()):  # its advice on large models
            self._generator: Any = BatchGenerator(
                model,
                stop_tokens=[[each] for each in tokenizer.eos_token_ids],
                completion_batch_size=slots,
                prefill_batch_size=slots,
                prefill_step_size=step_tokens,
            )

    def stream(
        self, slot: int, ids: list[int], sampling: Sampling, limit: int, watch: Stopwatch
    ) -> Generator[EngineEvent, None, None]:
        """Generate at most `limit` tokens after the prompt `ids`. Raises EngineFailed."""
        stop = StopFilter(sampling.stop)
        mine = _Sequence(slot, ids, sampling, limit, watch, self._tokenizer.detokenizer, stop)
        self._waiting.append(mine)
        try:
            while True:
                while mine.events:
                    event = mine.events.popleft()
                    if isinstance(event, EngineFailed):
                        raise event
                    yield event
                    if isinstance(event, Done):
                        return
                self._step()
        finally:
            self._drop(mine)

    def close(self) -> None:
        """Give free what Metal keeps resident."""
        self._generator.close()
        self.held.clear()

    def _step(self) -> None:
        while self._waiting and self._has_room(self._waiting[0]):
            self._begin(self._waiting.popleft())
        try:
            prompts, tokens = self._generator.next()
            for response in prompts:
                self._read(response)
            for response in tokens:
                self._take(response)
        except (RuntimeError, ValueError) as error:
            # All that run share what is now in doubt.
            for sequence in list(self._running.values()):
                self._remove(sequence)
                sequence.end(EngineFailed(f"MLX failed: {error}", "termrag doctor"))

    def _has_room(self, sequence: _Sequence) -> bool:
        if sequence.is_alone:
            return not self._running
        return len(self._running) < self._slots and not any(each.is_alone for each in self._running.values())

    def _begin(self, sequence: _Sequence) -> None:
        """Put it into the batch, with what any slot has of its prompt."""
        import mlx.core as mx

        best = max(self.held.values(), key=lambda held: held.shared_with(sequence.ids), default=None)
        cached = best.shared_with(sequence.ids) if best else 0
        if sequence.sampling.seed is not None:
            mx.random.seed(sequence.sampling.seed)
        try:
            (uid,) = self._generator.insert(
                [sequence.ids[cached:]],
                [sequence.limit],
                caches=[best.beginning(cached)] if best and cached else None,
                all_tokens=[sequence.ids[:cached]],
                samplers=[_sampler(sequence.sampling)],
                logits_processors=[_penalties(sequence.sampling)],
            )
        except (RuntimeError, ValueError) as error:
            sequence.end(EngineFailed(f"MLX failed: {error}", "termrag doctor"))
            return
        sequence.uid, sequence.cached = uid, cached
        self._running[uid] = sequence
        sequence.events.append(Prefill(cached, len(sequence.ids)))

    def _read(self, response: Any) -> None:
        sequence = self._running.get(response.uid)
        if sequence is not None:
            done = len(sequence.ids) if response.end_of_prompt else sequence.cached + response.progress[0]
            sequence.events.append(Prefill(done, len(sequence.ids)))

    def _take(self, response: Any) -> None:
        sequence = self._running.get(response.uid)
        if sequence is None:
            return
        reason = sequence.take(response.token, response.finish_reason)
        if response.finish_reason:
            del self._running[response.uid]
            self._keep(sequence.slot, response.all_tokens, response.prompt_cache)
        elif reason:
            self._remove(sequence)
        if reason:
            sequence.done(reason)

    def _drop(self, sequence: _Sequence) -> None:
        """Whoever wanted it is gone."""
        if sequence in self._waiting:
            self._waiting.remove(sequence)
        self._remove(sequence)

    def _remove(self, sequence: _Sequence) -> None:
        """Take it out of the batch and keep what was read and written."""
        if sequence.uid is None or self._running.pop(sequence.uid, None) is None:
            return
        with contextlib.suppress(RuntimeError, ValueError):
            found = self._generator.remove([sequence.uid], return_prompt_caches=True)
            if sequence.uid in found:
                layers, ids = found[sequence.uid]
                self._keep(sequence.slot, ids, layers)

    def _keep(self, slot: int, ids: list[int], layers: list[Any]) -> None:
        import mlx.core as mx

        held = Held(list(ids), layers)
        if held.ids and held.is_true:
            mx.eval([layer.state for layer in layers])
            self.held[slot] = held


def can_batch(model: Any) -> bool:
    """Whether mlx-lm can put this model's prompt caches into one batch."""
    from mlx_lm.models.cache import make_prompt_cache

    return all(hasattr(layer, "merge") and hasattr(layer, "offset") for layer in make_prompt_cache(model))


@functools.lru_cache(maxsize=64)
def _shared_sampler(temperature: float, top_p: float, min_p: float, top_k: int) -> Callable[[Any], Any]:
    from mlx_lm.sample_utils import make_sampler

    return make_sampler(temperature, top_p, min_p, top_k=top_k)


def _sampler(sampling: Sampling) -> Callable[[Any], Any]:
    """The same object for equal sampling: a batch that shares one calls it once."""
    return _shared_sampler(sampling.temperature, sampling.top_p, sampling.min_p, sampling.top_k)


def _penalties(sampling: Sampling) -> list[Callable[[Any, Any], Any]]:
    if sampling.repetition_penalty == 1.0:
        return []
    from mlx_lm.sample_utils import make_repetition_penalty

    return [make_repetition_penalty(sampling.repetition_penalty, REPETITION_WINDOW)]
