"""The index over the vectors of an embedded Qdrant: made beside it, by a process of its own, from a copy of its files.

The engine builds an index while the whole process stands still. So its files are copied, with writers held up and
readers not; another process indexes the copy; what is written meanwhile is noted and done over in the copy, which then
takes the place of the original. What is killed on the way leaves the original as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from termrag.errors import StoreUnavailable
from termrag.heap import return_memory
from termrag.logs import logger
from termrag.stores.points import DENSE
from termrag.stores.qdrant_engine import Engine, load

ROWS = 50_000  # below, comparing with every vector takes some ten milliseconds
_GROWTH = 4  # index when a fourth is outside,
_MOST_OUTSIDE = 100_000  # or so many: they lie in memory, two kilobytes each
_FORCED_GROWTH = 100
_COMPARED = 150  # vectors that are read and compared exactly, of those that are nearest by their codes
_FEW_UPDATES = 20  # are done over while readers wait
_POLL_S = 0.1
_ZEROS = bytes(1 << 18)


class _CancelledError(Exception):
    pass


def outside(engine: Engine) -> tuple[int, int]:
    """(vectors, those that are in no index, as far as is known); to be asked in a reader's turn."""
    vectors = _vectors(engine.shard)
    return vectors, min(vectors, max(vectors - engine.indexed, engine.written)) if engine.indexed else vectors


def standing(engine: Engine, *, force: bool) -> tuple[bool, bool]:
    """(whether another process puts its files in order, whether so many vectors are in no index, or so many of an index
    are gone, that it is worth the copying); to be asked in a reader's turn."""
    vectors, left = outside(engine)
    is_large = engine.indexed > 0 or vectors >= ROWS
    left = max(left, engine.indexed - vectors)
    enough = vectors // _FORCED_GROWTH if force else min(vectors // _GROWTH, _MOST_OUTSIDE)
    return is_large, is_large and left >= max(1, enough) and (force or engine.written >= engine.patience)


def _vectors(shard: Any) -> int:
    import qdrant_edge as edge

    there = edge.Filter(must=[edge.HasVectorCondition(DENSE)])
    return int(shard.count(edge.CountRequest(filter=there, exact=True)))


@lru_cache(maxsize=64)
def search_params(limit: int, *, exact: bool) -> Any:
    """How to search: exactly, or by the index's codes with some compared exactly."""
    import qdrant_edge as edge

    if exact:
        return edge.SearchParams(exact=True)
    oversampling = max(1.0, _COMPARED / max(1, limit))
    return edge.SearchParams(quantization=edge.QuantizationSearchParams(rescore=True, oversampling=oversampling))


class Indexing:
    """One making of the index, in a thread of its own. Nothing is raised there: `error` tells."""

    def __init__(self, engine: Engine) -> None:
        self.error = ""
        self._engine = engine
        self._files = engine.new_files()
        self._is_cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="qdrant-index", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end. Raises StoreUnavailable if there is no index; interrupted, it is given up."""
        try:
            while self._thread.is_alive():
                self._thread.join(_POLL_S)
        except BaseException:
            self.cancel()
            raise
        if self.error:
            raise StoreUnavailable(f"the vectors were not indexed: {self.error}", "termrag index optimize")

    def give_up(self) -> None:
        self._is_cancelled.set()

    def cancel(self) -> None:
        """Give it up, unless it is as good as done, and wait for that."""
        self.give_up()
        self._thread.join()

    def _run(self) -> None:
        engine, begun = self._engine, time.monotonic()
        is_done = False
        try:
            self._copy()
            self._index()
            self._take_over()
            is_done = True
            logger.info("vectors of %s indexed in %.1f s", engine.folder, time.monotonic() - begun)
        except _CancelledError:
            self.error = "it was given up"
        except Exception as error:  # the engine has bare ones
            self.error = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
            logger.warning("vectors of %s not indexed: %s", engine.folder, self.error)
        finally:
            if not is_done:
                engine.forget_updates()
                engine.patience = engine.written + ROWS
                shutil.rmtree(self._files, ignore_errors=True)
            engine.indexing = None

    def _copy(self) -> None:
        engine = self._engine
        engine.turn.freeze()
        try:
            engine.shard.flush()
            size = engine.size_bytes()
            free = shutil.disk_usage(engine.folder).free
            if free < 2.5 * size:
                raise StoreUnavailable(
                    f"that needs {2.5 * size / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free", "Free some disk space."
                )
            shutil.copytree(engine.files, self._files, copy_function=self._copy_file)
            engine.note_updates()
        finally:
            engine.turn.thaw()

    def _copy_file(self, source: str, target: str) -> None:
        """Copy it, leaving out what is nothing but zeros: the engine's files are mostly room to grow."""
        self._go_on()
        with Path(source).open("rb", buffering=0) as from_file, Path(target).open("wb") as to_file:
            while block := from_file.read(len(_ZEROS)):
                if _ZEROS.startswith(block):
                    to_file.seek(len(block), os.SEEK_CUR)
                else:
                    to_file.write(block)
            to_file.truncate()

    def _go_on(self) -> None:
        if self._is_cancelled.is_set():
            raise _CancelledError

    def _index(self) -> None:
        command = [sys.executable, "-P", "-m", "termrag.stores.qdrant_indexer", str(self._files)]
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is ours to hear
        ) as process:
            said = ""
            while process.returncode is None:
                if self._is_cancelled.is_set():
                    process.kill()
                with suppress(subprocess.TimeoutExpired):
                    _, said = process.communicate(timeout=_POLL_S)
        self._go_on()
        if process.returncode:
            reason = said.strip().splitlines()[-1:] or [f"the process ended with {process.returncode}"]
            raise StoreUnavailable(reason[0], "termrag doctor")

    def _take_over(self) -> None:
        """Do over what was written meanwhile, the last of it alone; then the copy is what everybody reads."""
        engine, before = self._engine, self._engine.files
        copy = load(self._files)
        try:
            indexed = _vectors(copy)
            while len(noted := engine.noted_updates()) > _FEW_UPDATES:
                _update(copy, noted)
                self._go_on()
            _update(copy, noted)
            with engine.turn.writing(even_frozen=True):
                _update(copy, engine.noted_updates())
                self._go_on()
                copy.flush()
                engine.point_at(self._files, indexed, engine.noted_points)
                original, engine.shard = engine.shard, copy
                engine.patience = 0
                engine.forget_updates()
        except BaseException:
            copy.close()
            raise
        original.close()
        shutil.rmtree(before, ignore_errors=True)
        return_memory()  # two kilobytes a chunk that was not indexed yet


def _update(shard: Any, operations: list[Any]) -> None:
    for operation in operations:
        shard.update(operation)
