"""Locks: one process writes to a library at a time, one watches it, one serves; who comes too late learns who it is."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from termrag.errors import LibraryBusy

WRITE_LOCK = "write.lock"
WATCH_LOCK = "watch.lock"
SERVER_LOCK = "server.lock"


def write_lock(folder: Path, timeout_s: float = 30.0) -> AbstractContextManager[None]:
    """Hold the library's writer lock. Raises LibraryBusy naming the holder's pid. A killed holder holds nothing."""
    return _hold(
        folder / WRITE_LOCK,
        timeout_s,
        "process {pid} is writing to the library",
        "Wait for it to finish, then run it again.",
    )


def watch_lock(folder: Path) -> AbstractContextManager[None]:
    """Be the one process that watches. Raises LibraryBusy at once if there is one already."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _hold(folder / WATCH_LOCK, 0.0, "process {pid} watches this library already", "termrag watch --status")


def server_lock(folder: Path) -> AbstractContextManager[None]:
    """Be the one process that serves from this runtime folder. Raises LibraryBusy at once if there is one already."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return _hold(folder / SERVER_LOCK, 0.0, "process {pid} serves already", "termrag serve --stop")


@contextmanager
def _hold(path: Path, timeout_s: float, busy: str, hint: str) -> Iterator[None]:
    file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if not _taken(file, time.monotonic() + timeout_s):
            holder = os.pread(file, 20, 0).decode(errors="replace") or "unknown"
            raise LibraryBusy(busy.format(pid=holder), hint)
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
        os.ftruncate(file, 0)
    finally:
        os.close(file)


def _taken(file: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def lock_holder(folder: Path, name: str = WRITE_LOCK) -> int | None:
    """The process that holds a lock now, if any; 0 for one that has not said who it is."""
    try:
        file = os.open(folder / name, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(file, 20, 0)
        return int(pid) if pid.isdigit() else 0
    finally:
        os.close(file)
    return None
