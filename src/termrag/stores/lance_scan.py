"""A pinned version of the table read from end to end, and again from where a reader left off."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from termrag.stores import Batch
from termrag.stores.failures import guarded
from termrag.stores.filters import VISIBLE
from termrag.stores.rows import rows_of

_BATCH = 1000
_PIN = "scan-"
_KEEP_S = 24 * 3600.0  # a reader that was cut short may go on for so long


def pinned(table: Any, after: str) -> tuple[str, int]:
    """Put the table, the caller's own handle, at the version that `after` names, or at its newest, kept from
    compaction; return the pin's name and how many rows are done with."""
    pin, _, done = after.partition(":")
    if done.isdigit():
        with contextlib.suppress(ValueError):  # the version is gone: begin anew
            table.checkout(int(pin.split("-")[1]))
            return pin, int(done)
    table.checkout(table.version)
    pin = f"{_PIN}{table.version}-{time.time_ns()}"
    with contextlib.suppress(RuntimeError, OSError, ValueError):  # a store that cannot be written is read all the same
        table.tags.create(pin, table.version)
    return pin, 0


def batches(table: Any, pin: str, done: int) -> Iterator[Batch]:
    """What is left of a pinned table; it is let go when the end is reached, not before."""
    query = table.search().where(VISIBLE).offset(done)
    for batch in _stream(query):
        done += batch.num_rows
        yield Batch(rows_of(batch), f"{pin}:{done}")
    _release(table, lambda name: name == pin)


def batches_of(table: Any, condition: str) -> Iterator[Batch]:
    """The rows that a condition lets through, of the newest version, without a position to go on from."""
    table.checkout(table.version)
    return (Batch(rows_of(batch), "") for batch in _stream(table.search().where(f"{VISIBLE} AND {condition}")))


def _stream(query: Any) -> Iterator[Any]:
    stream = iter(guarded(lambda: query.to_batches(_BATCH)))
    while (batch := guarded(lambda: next(stream, None))) is not None:
        yield batch


def release_old(table: Any) -> None:
    """Let compaction have the versions of readers that were cut short long ago."""
    limit = time.time_ns() - _KEEP_S * 1e9
    _release(table, lambda name: name.startswith(_PIN) and float(name.rpartition("-")[2]) < limit)


def _release(table: Any, is_done: Callable[[str], bool]) -> None:
    with contextlib.suppress(RuntimeError, OSError, ValueError):
        for name in [each for each in table.tags.list() if is_done(each)]:
            table.tags.delete(name)
