"""How the engine tests run a generation and look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from termrag.engines import Done, Engine, EngineEvent, Piece, Prefill
from termrag.records import Message, Sampling, Usage


@dataclass(frozen=True)
class Run:
    """All events of one generation."""

    events: tuple[EngineEvent, ...]

    @property
    def prefills(self) -> list[Prefill]:
        return [event for event in self.events if isinstance(event, Prefill)]

    @property
    def pieces(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Piece)]

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def done(self) -> Done:
        last = self.events[-1]
        assert isinstance(last, Done)
        return last

    @property
    def usage(self) -> Usage:
        return self.done.usage


def run(engine: Engine, messages: Sequence[Message], **sampling: Any) -> Run:
    return Run(tuple(engine.stream(messages, Sampling(**sampling))))
