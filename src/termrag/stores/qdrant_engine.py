"""Who owns a folder with an embedded Qdrant: one process, and in it one engine for all that opened the folder.

The engine's files lie in a folder within, which the file `current.json` names: so that others can take their place.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from termrag.errors import StoreBusy
from termrag.heap import share_arenas

if TYPE_CHECKING:
    from termrag.stores.qdrant_index import Indexing

_WAIT_S = 5.0  # for a process that is about to finish
_FIRST = "shard"
_CODES = "quantized.data"
_SMALL = 1 << 20  # bytes, that of its flags
_MOST_NOTED = 20_000  # points, some 100 MB; who writes more waits until the index is there


class Engine:
    """One folder's engine, shared by all who opened it in this process."""

    def __init__(self, folder: Path, lock: int) -> None:
        share_arenas()
        state = _state(folder)
        self.folder = folder
        self.lock = lock
        self.users = 0
        self.files = folder / str(state.get("files", _FIRST))  # where the engine's own files are, or will be
        self.indexed = int(state.get("indexed", 0))  # vectors that were given an index when it was made
        self.written = int(state.get("written", 0))  # points, since the files were last put in order
        self.patience = 0  # points to be written before it is tried again
        self.has_leftovers = False  # staged points of a writer that was killed
        self.shard: Any = None
        self.turn = ReadersAndWriter()
        self.tending = threading.Lock()
        self.indexing: Indexing | None = None  # at work
        self._notes = threading.Lock()
        self._noted: list[Any] | None = None
        self.noted_points = 0

    def new_files(self) -> Path:
        """Where a copy may lie that is to take their place."""
        return self.folder / f"{_FIRST}-{time.time_ns()}"

    def point_at(self, files: Path, indexed: int, written: int) -> None:
        """Make these the engine's files, in one step that lasts, and note how far they are indexed."""
        state = {"files": files.name, "indexed": indexed, "written": written}
        write_durably(self.folder / "current.json", json.dumps(state))
        self.files, self.indexed, self.written = files, indexed, written

    def start_over(self) -> None:
        """Forget all files: those to come are where the first ones of a collection are, and nothing is indexed."""
        (self.folder / "current.json").unlink(missing_ok=True)
        self.files, self.indexed, self.written = self.folder / _FIRST, 0, 0

    def size_bytes(self) -> int:
        """What the files take of the disk; they may come and go meanwhile."""
        size = 0
        for file in self.files.rglob("*"):
            with suppress(FileNotFoundError):
                size += file.stat().st_blocks * 512
        return size

    def sweep(self) -> None:
        """Delete what an unfinished or a finished exchange of the files left behind."""
        for folder in self.folder.glob(f"{_FIRST}*"):
            if folder != self.files:
                shutil.rmtree(folder, ignore_errors=True)

    def update(self, operation: Any, points: int = 0) -> None:
        """Do it, in the turn of a writer, and note it where it must be done over in a copy. `points` are written."""
        self.shard.update(operation)
        self.written += points
        with self._notes:
            if self._noted is None:
                return
            self._noted.append(operation)
            self.noted_points += points
            if self.noted_points > _MOST_NOTED:
                self.turn.freeze()

    def note_updates(self) -> None:
        with self._notes:
            self._noted, self.noted_points = [], 0

    def noted_updates(self) -> list[Any]:
        """What was noted since this was last asked."""
        with self._notes:
            noted, self._noted = self._noted or [], []
            return noted

    def forget_updates(self) -> None:
        """Note no more, and let writers go on."""
        with self._notes:
            self._noted = None
        self.turn.thaw()


class ReadersAndWriter:
    """Any number of readers, or one writer; a writer that waits goes first, but for one that is frozen."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._waiting = 0
        self._writer: int | None = None
        self._depth = 0
        self._is_frozen = False

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
    def writing(self, *, even_frozen: bool = False) -> Iterator[None]:
        me = threading.get_ident()
        with self._changed:
            if self._writer != me:
                self._take_turn(even_frozen=even_frozen)
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

    def _take_turn(self, *, even_frozen: bool) -> None:
        """Wait for it; while writers are frozen without holding readers off."""

        def is_held() -> bool:
            return self._is_frozen and not even_frozen

        while True:
            self._changed.wait_for(lambda: not is_held())
            self._waiting += 1
            self._changed.wait_for(lambda: is_held() or (self._writer is None and not self._readers))
            self._waiting -= 1
            if not is_held():
                return
            self._changed.notify_all()

    def freeze(self) -> None:
        """Let no other writer begin; whoever writes finishes first, unless that is the caller."""
        me = threading.get_ident()
        with self._changed:
            self._is_frozen = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._writer in (None, me))

    def thaw(self) -> None:
        with self._changed:
            self._is_frozen = False
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


def load(files: Path) -> Any:
    """Open an engine's files. It holds the interpreter meanwhile, and reads all codes a page at a time: so what it will
    read is read before, in blocks, while other threads go on. Raises what the engine raises, which is bare."""
    import qdrant_edge as edge

    for file in files.rglob("*"):
        with suppress(OSError), file.open("rb", buffering=0) as opened:
            if file.name == _CODES or os.fstat(opened.fileno()).st_size <= _SMALL:
                while opened.read(1 << 18):
                    pass
    return edge.EdgeShard.load(str(files))


def leave(engine: Engine) -> None:
    """The last to leave closes the engine and gives the folder free."""
    with OPENING:
        engine.users -= 1
        if engine.users:
            return
        _ENGINES.pop(engine.folder, None)
        try:
            if (begun := engine.indexing) is not None:
                begun.cancel()
            with engine.tending:
                if engine.shard is not None:
                    engine.shard.close()
                    if engine.indexed:
                        engine.point_at(engine.files, engine.indexed, engine.written)
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


def _state(folder: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((folder / "current.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return state


def write_durably(file: Path, text: str) -> None:
    """Replace the file in one step, on the disk when this returns."""
    part = file.with_name(f"{file.name}.part")
    with part.open("w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    part.replace(file)
