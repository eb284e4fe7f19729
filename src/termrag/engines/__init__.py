"""The contract of everything that turns messages into tokens, and the one lazy factory; knows no documents.

An engine is driven from one thread at a time: import, load, run and close happen on the thread that calls it
(MLX binds its streams to a thread). `stream` is a plain generator: closing it stops the compute, within one token
while decoding and within one prefill step while reading the prompt. The partial text stays valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from termrag.records import Message, Sampling, Usage


@dataclass(frozen=True, slots=True)
class Prefill:
    """`done` of `total` prompt tokens are evaluated; tokens taken from the cache count as done."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Generated text; may be empty while a multi-byte character is incomplete."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """Always the last event. `reason` is stop (end of turn or a stop string), length, or lost (connection broke
    mid-stream, what came is kept)."""

    reason: str
    usage: Usage


EngineEvent = Prefill | Piece | Done


class Engine(Protocol):
    """One loaded chat model.

    `name` is mlx, llamacpp, openai or scripted; `model` is what the user calls the model; `context_length` is in
    tokens, prompt and answer together, and known after `load`.
    """

    name: str
    model: str
    context_length: int

    def load(self) -> None:
        """Make ready; idempotent. Raises ModelMissing or EngineFailed."""

    def stream(self, messages: Sequence[Message], sampling: Sampling) -> Iterator[EngineEvent]:
        """Yield Prefill, Piece ... Done. Reuses the prompt cache where the messages begin like the last call's.
        Raises EngineFailed, also when the prompt does not fit the context. A stop string ends the text before it."""

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Exact length of the prompt that `stream` would evaluate: the model's own chat template, with the mark that
        opens the assistant's turn."""

    def close(self) -> None:
        """Free the model; idempotent."""


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Which engine was picked and why, in words for `status`."""

    name: str
    reason: str
