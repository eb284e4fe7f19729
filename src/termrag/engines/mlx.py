"""MLX through mlx-lm, on the calling thread: MLX binds its streams to the thread that uses them.

The prompt is evaluated here, step by step, so that closing the stream stops between two steps; tokens then come from
mlx-lm's own generation. Of each slot one prompt cache is kept: whatever a new prompt shares with one of them is reused.
With several slots, generations go through the model in one batch (mlx_batch).
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Generator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from termrag.engines import Done, EngineEvent, Piece, Prefill
from termrag.engines.generation import (
    REPETITION_WINDOW,
    TEMPLATE_VALUES,
    LatestStreams,
    StopFilter,
    Stopwatch,
    common_prefix,
    prefix_key,
    too_long,
)
from termrag.engines.mlx_batch import Batch, Held, can_batch
from termrag.errors import EngineFailed, ModelMissing
from termrag.heap import return_memory
from termrag.records import Message, Sampling

_CPU_STEP_TOKENS = 256
_METAL_STEP_TOKENS = 512


class MLXEngine:
    """One mlx-lm folder. `step_tokens` is how much of a prompt is evaluated between two chances to stop; 0 suits the
    device. Text and counts equal those of mlx-lm's own `stream_generate` with the same step."""

    name = "mlx"

    def __init__(self, path: Path, *, model: str, context_tokens: int, step_tokens: int = 0, slots: int = 1) -> None:
        self.model = model
        self.context_length = context_tokens
        self.slots = slots
        self._path = path
        self._wanted_context = context_tokens
        self._step_tokens = step_tokens
        self._model: Any = None
        self._tokenizer: Any = None
        self._cache: list[Any] = []
        self._cached_ids: list[int] = []  # what the cache holds, token by token
        self._latest = LatestStreams()
        self._batch: Batch | None = None  # with more than one slot

    def load(self) -> None:
        """Make ready, on this thread; idempotent. Raises ModelMissing, or EngineFailed for a folder that is not a
        whole model."""
        if self._model is not None:
            return
        if not (self._path / "config.json").is_file():
            raise ModelMissing(f"there is no MLX model in {self._path}", f"termrag models pull {self.model}")
        mx, load = _import_mlx()
        try:
            self._model, self._tokenizer, config = load(str(self._path), return_config=True)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise EngineFailed(
                f"mlx-lm could not load {self._path}: {error}", f"termrag models pull {self.model}"
            ) from error
        trained = config.get("max_position_embeddings") or self._wanted_context
        self.context_length = min(self._wanted_context, trained)
        self._step_tokens = self._step_tokens or (_METAL_STEP_TOKENS if mx.metal.is_available() else _CPU_STEP_TOKENS)
        if self.slots > 1 and not can_batch(self._model):
            self.slots = 1

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Generator[EngineEvent, None, None]:
        """As the contract says, and on the thread that loads."""
        return self._latest.alone(self._generate(messages, sampling))

    def stream_in(
        self, slot: int, messages: Sequence[Message], sampling: Sampling
    ) -> Generator[EngineEvent, None, None]:
        """As the contract says. Nothing is ever pending: pulling one stream steps all."""
        self.load()
        generate = self._generate(messages, sampling) if self.slots == 1 else self._batched(slot, messages, sampling)
        return self._latest.beside(slot, generate)

    def _batched(
        self, slot: int, messages: Sequence[Message], sampling: Sampling
    ) -> Generator[EngineEvent, None, None]:
        watch = Stopwatch()
        ids = self._ids(messages)
        if len(ids) >= self.context_length:
            raise too_long(len(ids), self.context_length)
        limit = min(sampling.max_tokens, self.context_length - len(ids))
        yield from self._the_batch().stream(slot, ids, sampling, limit, watch)

    def _the_batch(self) -> Batch:
        if self._batch is None:
            self._batch = Batch(self._model, self._tokenizer, slots=self.slots, step_tokens=self._step_tokens)
        return self._batch

    def _generate(self, messages: Sequence[Message], sampling: Sampling) -> Generator[EngineEvent, None, None]:
        watch = Stopwatch()
        self.load()
        ids = self._ids(messages)
        if len(ids) >= self.context_length:
            raise too_long(len(ids), self.context_length)
        try:
            with self._wired():
                cached = self._reuse(ids)
                yield Prefill(cached, len(ids))
                for done in self._prefill(ids, cached):
                    yield Prefill(done, len(ids))
                yield Prefill(len(ids), len(ids))
                reason = yield from self._decode(ids, sampling, watch)
            yield Done(reason, watch.usage(len(ids), cached))
        except (RuntimeError, ValueError) as error:
            raise EngineFailed(f"MLX failed: {error}", "termrag doctor") from error
        finally:
            if self._cache and self._cache[0].offset != len(self._cached_ids):
                self._forget()  # a cache out of step with what we know of it is worth nothing

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exact length of the prompt, by the model's own template and tokenizer."""
        self.load()
        return len(self._ids(messages))

    @property
    def prefix_key(self) -> str:
        versions = f"{version('mlx')} {version('mlx-lm')}"
        weights = next(iter(sorted(self._path.glob("model*.safetensors"))))
        return prefix_key(weights, f"mlx {_digest_of_small(self._path)}", versions, self.context_length)

    def held_tokens(self, slot: int = 0) -> int:
        return len(self._held(slot).ids)

    def save_prefix(self, file: Path, slot: int = 0) -> int:
        """As the contract says; nothing while a stream runs in the slot."""
        from mlx_lm.models.cache import save_prompt_cache

        held = self._held(slot)
        if self._latest.is_running(slot) or not held.ids:
            return 0
        with _named_safetensors(file) as named:
            try:
                save_prompt_cache(str(named), held.layers, {"ids": json.dumps(held.ids)})
            except (RuntimeError, ValueError) as error:
                raise EngineFailed(f"MLX could not save its prompt cache: {error}") from error
        return len(held.ids)

    def load_prefix(self, file: Path, slot: int = 0) -> int:
        """As the contract says; nothing while a stream runs in the slot."""
        import mlx.core as mx
        from mlx_lm.models import cache as caches

        if self._latest.is_running(slot):
            return 0
        self.load()
        load_prompt_cache: Callable[..., Any] = caches.load_prompt_cache
        with _named_safetensors(file) as named:
            try:
                cache, about = load_prompt_cache(str(named), return_metadata=True)
                mx.eval([layer.state for layer in cache])
                ids = [int(each) for each in json.loads(about["ids"])]
            except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
                raise EngineFailed(f"MLX could not read a prompt cache: {error}") from error
        if not cache or cache[0].offset != len(ids):
            raise EngineFailed("the prompt cache is not whole")
        if self.slots > 1:
            self._the_batch().held[slot] = Held(ids, cache)
        else:
            self._cache, self._cached_ids = cache, ids
        return len(ids)

    def _held(self, slot: int) -> Held:
        if self.slots > 1:
            return self._the_batch().held.get(slot, Held([], [])) if self._batch else Held([], [])
        return Held(self._cached_ids, self._cache)

    def close(self) -> None:
        """Free the model; idempotent."""
        self._latest.close()
        if self._batch is not None:
            self._batch.close()
            self._batch = None
        was_loaded = self._model is not None
        self._model = self._tokenizer = None
        self._forget()
        return_memory()
        if was_loaded:
            import mlx.core as mx

            mx.clear_cache()
            return_memory()

    def _ids(self, messages: Sequence[Message]) -> list[int]:
        from jinja2 import TemplateError

        plain = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return list(self._tokenizer.apply_chat_template(plain, add_generation_prompt=True, **TEMPLATE_VALUES))
        except TemplateError as error:
            raise EngineFailed(f"the chat template of {self.model} refuses these messages: {error}") from error

    @contextlib.contextmanager
    def _wired(self) -> Generator[None, None, None]:
        """Let Metal keep the weights resident meanwhile; mlx-lm prints its advice on large models to stdout."""
        from mlx_lm.generate import generation_stream, wired_limit

        with contextlib.ExitStack() as stack:
            with contextlib.redirect_stdout(io.StringIO()):
                streams: list[Any] = [generation_stream]
                stack.enter_context(wired_limit(self._model, streams))
            yield

    def _forget(self) -> None:
        self._cache, self._cached_ids = [], []

    def _reuse(self, ids: list[int]) -> int:
        """Cut the cache back to what it shares with the prompt; how many tokens that is. The last token of a prompt is
        always evaluated: its logits are what decoding begins with."""
        from mlx_lm.models.cache import can_trim_prompt_cache, make_prompt_cache, trim_prompt_cache

        shared = min(common_prefix(self._cached_ids, ids), len(ids) - 1)
        surplus = len(self._cached_ids) - shared
        if shared == 0 or (surplus and not can_trim_prompt_cache(self._cache)):
            self._cache, self._cached_ids = make_prompt_cache(self._model), []
            return 0
        trim_prompt_cache(self._cache, surplus)
        self._cached_ids = ids[:shared]
        return shared

    def _prefill(self, ids: list[int], start: int) -> Generator[int, None, None]:
        """Evaluate all but the last token; yields how many are done after each step."""
        import mlx.core as mx
        from mlx_lm.generate import generation_stream

        while start < len(ids) - 1:
            end = min(start + self._step_tokens, len(ids) - 1)
            with mx.stream(generation_stream):
                self._model(mx.array(ids[start:end])[None], cache=self._cache)
                mx.eval([layer.state for layer in self._cache])
            mx.clear_cache()
            self._cached_ids = ids[:end]
            start = end
            yield end

    def _decode(self, ids: list[int], sampling: Sampling, watch: Stopwatch) -> Generator[EngineEvent, None, str]:
        """Yield the text; the reason it ended."""
        import mlx.core as mx
        from mlx_lm.generate import generate_step
        from mlx_lm.sample_utils import make_sampler

        if sampling.seed is not None:
            mx.random.seed(sampling.seed)
        limit = min(sampling.max_tokens, self.context_length - len(ids))
        steps = generate_step(
            mx.array(ids[-1:]),
            self._model,
            max_tokens=limit,
            sampler=make_sampler(sampling.temperature, sampling.top_p, sampling.min_p, top_k=sampling.top_k),
            logits_processors=_penalties(ids, sampling),
            prompt_cache=self._cache,
        )
        stop, detokenizer, reason = StopFilter(sampling.stop), self._tokenizer.detokenizer, "length"
        self._cached_ids = list(ids)
        with contextlib.closing(steps):
            for item, _ in steps:
                token = int(item)
                watch.token()
                self._cached_ids.append(token)  # the step after it is already under way, so the cache holds it
                if token in self._tokenizer.eos_token_ids:
                    reason = "stop"
                    break
                detokenizer.add_token(token)
                yield Piece(stop.feed(detokenizer.last_segment))
                if stop.stopped:
                    return "stop"
        detokenizer.finalize()
        rest = stop.feed(detokenizer.last_segment)
        yield Piece(rest + stop.flush(), tokens=0)
        return "stop" if stop.stopped else reason


def _penalties(ids: list[int], sampling: Sampling) -> list[Callable[[Any, Any], Any]]:
    """mlx-lm's penalty for repeated tokens, told of the prompt that it has not evaluated itself."""
    if sampling.repetition_penalty == 1.0:
        return []
    import mlx.core as mx
    from mlx_lm.sample_utils import make_repetition_penalty

    penalty = make_repetition_penalty(sampling.repetition_penalty, REPETITION_WINDOW)
    before = mx.array(ids[-REPETITION_WINDOW - 1 : -1], dtype=mx.int32)
    return [lambda tokens, logits: penalty(mx.concatenate([before, tokens[-REPETITION_WINDOW:]]), logits)]


@contextlib.contextmanager
def _named_safetensors(file: Path) -> Generator[Path, None, None]:
    """MLX tells a file's form by its suffix: a link has the right one."""
    link = file.with_name(f"{file.name}.{os.getpid()}.safetensors")
    link.unlink(missing_ok=True)
    link.symlink_to(file.absolute())
    try:
        yield link
    finally:
        link.unlink(missing_ok=True)


def _digest_of_small(folder: Path) -> str:
    """What the model's settings, tokenizer and template say, by their content."""
    whole = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in (".json", ".jinja"):
            whole.update(file.name.encode() + file.read_bytes())
    return whole.hexdigest()


def _import_mlx() -> tuple[Any, Callable[..., Any]]:
    # A folder on this machine is all there is to load: its tokenizer must not be looked up on a hub.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        import mlx.core as mx
        from mlx_lm import load
    except ImportError as error:
        raise EngineFailed(f"MLX cannot be imported: {error}", "pip install 'termrag[mlx]'") from error
    if not mx.metal.is_available():
        # On the CPU, MLX calls the machine's C++ compiler for fused operations, seconds for each new one, and keeps the
        # libraries under a guessable name in /tmp. Unfused it is as fast.
        mx.disable_compile()
    return mx, load
