"""How far a long run is, how fast it goes, and when it will be done."""

from __future__ import annotations

import time

from termrag.events import Copying


class Pace:
    """One stage of a run; `begun_at` is what was done before this run began."""

    def __init__(self, stage: str, total: int, begun_at: int = 0) -> None:
        self.stage = stage
        self.done = begun_at
        self._begun_at = begun_at
        self._total = total
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def step(self, count: int) -> Copying:
        self.done += count
        rate = (self.done - self._begun_at) / self.seconds if self.seconds > 0 else 0.0
        left = max(0, self._total - self.done)
        return Copying(self.stage, self.done, max(self._total, self.done), rate, left / rate if rate else None)
