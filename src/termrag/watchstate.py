"""The frozen values of watching: which folders stay in the library by themselves, and what the watcher is at.

Times are seconds since the epoch; 0 means not yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class WatchedFolder:
    """A folder that is kept in the library. `include` and `exclude` are patterns as in .gitignore, relative to it; an
    empty `include` takes everything. `trouble` says why its files cannot be seen now: its documents stay meanwhile.
    `held` deletions wait for a second sweep."""

    path: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    added_at: float = 0.0
    trouble: str = ""
    held: int = 0


class WatchState(StrEnum):
    """What the watcher is doing."""

    OFF = "off"  # no process watches
    IDLE = "idle"
    SWEEPING = "sweeping"
    INDEXING = "indexing"
    EMBEDDING = "embedding"  # vectors of documents that are found by their words already
    PAUSED = "paused"  # something stands in the way; `reason` says what, and it goes on by itself


@dataclass(frozen=True, slots=True)
class WatchStatus:
    """What the watching process last wrote down. `queued` changes wait to settle or for their turn; `working` is the
    file in hand; `done` and `failed` count files since it started."""

    state: WatchState = WatchState.OFF
    pid: int = 0
    reason: str = ""
    queued: int = 0
    working: str = ""
    done: int = 0
    failed: int = 0
    unembedded_chunks: int = 0
    chunks_per_second: float = 0.0
    eta_s: float | None = None
    polling: bool = False
    started_at: float = 0.0
    last_sweep_at: float = 0.0
    next_sweep_at: float = 0.0
    updated_at: float = 0.0
    folders: tuple[WatchedFolder, ...] = ()
