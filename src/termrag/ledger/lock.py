"""The writer lock of a library: one process writes at a time, and who waits too long learns who holds it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from termrag.errors import LibraryBusy


@contextmanager
def write_lock(folder: Path, timeout_s: float = 30.0) -> Iterator[None]:
    """Hold the library's writer lock. Raises LibraryBusy naming the holder's pid. A killed holder holds nothing."""
    file = os.open(folder / "write.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        _wait_for(file, time.monotonic() + timeout_s)
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
        os.ftruncate(file, 0)
    finally:
        os.close(file)


def _wait_for(file: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = os.pread(file, 20, 0).decode(errors="replace") or "unknown"
                raise LibraryBusy(
                    f"process {holder} is writing to the library", "Wait for it to finish, then run it again."
                ) from None
            time.sleep(0.01)
        else:
            return


def lock_holder(folder: Path) -> int | None:
    """The process that is writing now, if any."""
    try:
        file = os.open(folder / "write.lock", os.O_RDWR)
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
