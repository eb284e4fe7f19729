"""Who owns a folder with an embedded Qdrant: one process, and in it one engine for all that opened the folder."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from termrag.errors import StoreBusy

_WAIT_S = 5.0  # for a process that is about to finish


class Engine:
    """One folder's engine, shared by all who opened it in this process."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self.lock = lock
        self.users = 0
        self.written = 0  # since the files were last put in order
        self.has_leftovers = False  # staged points of a writer that was killed
        self.shard: Any = None
        self.turn = ReadersAndWriter()
        self.tending = threading.Lock()


class ReadersAndWriter:
    """Any number of readers, or one writer; a writer that waits goes first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._waiting = 0
        self._writer: int | None = None
        self._depth = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        me = threading.get_ident()
        with self._changed:
            if self._writer != me:
                self._changed.wait_for(lambda: self._writer is None and not self._waiting)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        me = threading.get_ident()
        with self._changed:
            if self._writer != me:
                self._waiting += 1
                self._changed.wait_for(lambda: self._writer is None and not self._readers)
                self._waiting -= 1
                self._writer = me
            self._depth += 1
        try:
            yield
        finally:
            with self._changed:
                self._depth -= 1
                if not self._depth:
                    self._writer = None
                self._changed.notify_all()


_ENGINES: dict[Path, Engine] = {}
OPENING = threading.RLock()  # held while an engine is loaded, joined or left


def join(folder: Path) -> Engine:
    """The folder's engine, not loaded yet. Raises StoreBusy where another process owns the folder."""
    key = folder.resolve()
    with OPENING:
        engine = _ENGINES.get(key)
        if engine is None:
            engine = _ENGINES[key] = Engine(key, _own(key))
        engine.users += 1
        return engine


def leave(engine: Engine) -> None:
    """The last to leave closes the engine and gives the folder free."""
    with OPENING:
        engine.users -= 1
        if engine.users:
            return
        _ENGINES.pop(engine.folder, None)
        try:
            with engine.tending:
                if engine.shard is not None:
                    engine.shard.close()
        finally:
            os.close(engine.lock)


def _own(folder: Path) -> int:
    """Hold the folder's lock until the process ends or the engine is left. Raises StoreBusy naming the holder."""
    file = os.open(folder / "owner.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            holder = os.pread(file, 20, 0).decode(errors="replace") or "unknown"
            os.close(file)
            raise StoreBusy(
                f"process {holder} owns the embedded Qdrant in {folder}",
                "Ask through that process, stop it, or use a server: termrag config set qdrant.url URL",
            ) from None
    os.ftruncate(file, 0)
    os.pwrite(file, str(os.getpid()).encode(), 0)
    return file
