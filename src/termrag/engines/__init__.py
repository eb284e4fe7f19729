"""The contract of everything that turns messages into tokens, and the one lazy factory; knows no documents.

An engine is driven from one thread at a time: import, load, run and close happen on the thread that calls it
(MLX binds its streams to a thread). `stream` is a plain generator: closing it stops the compute, within one token
while decoding and within one prefill step while reading the prompt. The partial text stays valid. `stream_in` is the
door for several at once: one generation in each of the engine's slots, none of which blocks the thread for the others.
"""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from termrag.config import ModelSettings, OpenAISettings
from termrag.errors import ConfigError, EngineFailed, ModelMissing
from termrag.pending import Pending
from termrag.records import Message, Sampling, Usage


@dataclass(frozen=True, slots=True)
class Prefill:
    """`done` of `total` prompt tokens are evaluated; tokens taken from the cache count as done."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Generated text of some `tokens`; may be empty while a multi-byte character is incomplete."""

    text: str
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class Done:
    """Always the last event. `reason` is stop (end of turn or a stop string), length, or lost (connection broke
    mid-stream, what came is kept)."""

    reason: str
    usage: Usage


EngineEvent = Prefill | Piece | Done
Stream = Generator[EngineEvent | Pending, None, None]


class Engine(Protocol):
    """One loaded chat model.

    `name` is mlx, llamacpp, openai or scripted; `model` is what the user calls the model; `context_length` is in
    tokens, prompt and answer together, and known after `load`; each of the `slots` has as much. `slots` is how many
    generations may run at the same time, known after `load` too.
    """

    name: str
    model: str
    context_length: int
    slots: int

    def load(self) -> None:
        """Make ready; idempotent. Raises ModelMissing or EngineFailed."""

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Generator[EngineEvent, None, None]:
        """Yield Prefill (one or more, `done` rising to `total`), Piece ..., Done. Loads the model if need be.

        Reuses the prompt cache where the messages begin like the last call's. One generation runs at a time: asking
        for the next closes the last. A stop string ends the text before it; no part of one is ever yielded.
        `generated_tokens` counts what the model produced, with the token that ends the turn where the engine sees it.
        Raises EngineFailed, also when the prompt does not fit the context.
        """

    def stream_in(self, slot: int, messages: Sequence[Message], sampling: Sampling) -> Stream:
        """The same in one slot, counted from 0, beside those in the others; the next in a slot closes its last, and
        `stream` closes all.

        Yields Pending where nothing can be done until the model has gone on elsewhere; pulling before it is over is
        allowed and gives another. What goes wrong with one leaves the others. Closing returns at once; where a slot
        is used again before its compute has stopped, the new generation begins after that.
        """

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exact length of the prompt that `stream` would evaluate: the model's own chat template, with the mark that
        opens the assistant's turn."""

    def close(self) -> None:
        """Free the model; idempotent."""


@runtime_checkable
class KeepsPrefix(Protocol):
    """An engine whose prompt caches, one of each slot, can go into a file and come back; none of it while a stream
    runs there.

    `prefix_key` names all that the content depends on beside the tokens, which the file holds itself: model, engine,
    version.
    """

    @property
    def prefix_key(self) -> str: ...

    def held_tokens(self, slot: int = 0) -> int:
        """About how many tokens the cache holds."""

    def save_prefix(self, file: Path, slot: int = 0) -> int:
        """Write what the cache holds over `file`; how many tokens that is. Raises EngineFailed."""

    def load_prefix(self, file: Path, slot: int = 0) -> int:
        """Take the cache's place from `file`; how many tokens that is. The next prompt reuses what it shares with
        them. Raises EngineFailed, and the cache is then empty or as it was."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Which engine was picked and why, in words for `status`."""

    name: str
    reason: str


_PACKAGES = {"mlx": "mlx_lm", "llamacpp": "xllamacpp"}


def _is_importable(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def choose_engine(
    models: ModelSettings,
    openai: OpenAISettings,
    *,
    system: str = "",
    machine: str = "",
    is_importable: Callable[[str], bool] = _is_importable,
) -> EngineChoice:
    """Say which engine the settings ask for, without importing it.

    "auto" is mlx on Apple silicon, llamacpp elsewhere; never openai or scripted. `system` and `machine` are as
    `platform` spells them, and by default this machine's. Raises EngineFailed if the engine's package is not
    installed, ConfigError if the settings it needs are empty.
    """
    if models.engine == "auto":
        return _choose_for_machine(system or platform.system(), machine or platform.machine(), is_importable)
    if models.engine == "openai" and not (openai.url and openai.model):
        missing = "openai.model" if openai.url else "openai.url"
        example = "llama-3.2-1b-instruct" if openai.url else "http://localhost:8000/v1"
        raise ConfigError(
            f'models.engine is "openai", but {missing} is empty', f"termrag config set {missing} {example}"
        )
    if models.engine in _PACKAGES and not is_importable(_PACKAGES[models.engine]):
        raise EngineFailed(
            f'models.engine is "{models.engine}", but its package {_PACKAGES[models.engine]} is not installed',
            f"pip install 'termrag[{models.engine}]'",
        )
    return EngineChoice(models.engine, f'the settings say models.engine = "{models.engine}"')


def _choose_for_machine(system: str, machine: str, is_importable: Callable[[str], bool]) -> EngineChoice:
    is_apple = system == "Darwin" and machine == "arm64"
    if is_apple and is_importable("mlx_lm"):
        return EngineChoice("mlx", "Apple silicon, and mlx-lm is installed")
    if is_importable("xllamacpp"):
        why = "mlx-lm is not installed" if is_apple else f"MLX is for Apple silicon, and this is {system} {machine}"
        return EngineChoice("llamacpp", why)
    extra = "mlx" if is_apple else "llamacpp"
    raise EngineFailed("no engine for local models is installed", f"pip install 'termrag[{extra}]'")


def open_engine(
    choice: EngineChoice,
    *,
    model: str,
    path: Path | None,
    models: ModelSettings,
    openai: OpenAISettings,
    environ: Mapping[str, str],
    slots: int = 1,
) -> Engine:
    """Make the chosen engine, not yet loaded; imports the one module it needs. It has `slots` slots, or fewer.

    `model` is what the user calls it; `path` is its GGUF file (llamacpp) or folder (mlx), None for the others. The
    key of an OpenAI-compatible endpoint is TERMRAG_OPENAI_API_KEY of `environ`. Raises ModelMissing without a path.
    """
    if choice.name == "scripted":
        from termrag.engines.scripted import ScriptedEngine

        return ScriptedEngine(
            models.script,
            model=model,
            context_tokens=models.context_tokens,
            slots=slots,
            tokens_per_s=models.script_tokens_per_s,
        )
    if choice.name == "openai":
        from termrag.engines.openai import OpenAIEngine

        return OpenAIEngine(openai, api_key=environ.get("TERMRAG_OPENAI_API_KEY", ""), slots=slots)
    if path is None:
        raise ModelMissing(f"the model {model} is not on this machine", f"termrag models pull {model}")
    if choice.name == "mlx":
        from termrag.engines.mlx import MLXEngine

        return MLXEngine(path, model=model, context_tokens=models.context_tokens, slots=slots)
    from termrag.engines.llamacpp import LlamaCppEngine

    return LlamaCppEngine(path, model=model, context_tokens=models.context_tokens, threads=models.threads, slots=slots)
