"""A pinned version of the table read from end to end, and again from where a reader left off."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from termrag.stores import Batch
from termrag.stores.failures import guarded
from termrag.stores.filters import VISIBLE
from termrag.stores.lance_place import run
from termrag.stores.rows import rows_of

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 1000
_PIN = "scan-"
_KEEP_S = 24 * 3600.0  # a reader that was cut short may go on for so long


async def pinned(table: Any, after: str) -> tuple[str, int]:
    """Put the table, the caller's own handle, at the version that `after` names, or at its newest, kept from
    compaction; return the pin's name and how many rows are done with."""
    pin, _, done = after.partition(":")
    if done.isdigit():
        with contextlib.suppress(ValueError):  # the version is gone: begin anew
            await table.checkout(int(pin.split("-")[1]))
            return pin, int(done)
    version = await table.version()
    await table.checkout(version)
    pin = f"{_PIN}{version}-{time.time_ns()}"
    with contextlib.suppress(RuntimeError, OSError, ValueError):  # a store that cannot be written is read all the same
        await table.tags.create(pin, version)
    return pin, 0


def batches(table: Any, pin: str, done: int) -> Iterator[Batch]:
    """What is left of a pinned table; it is let go when the end is reached, not before."""
    for batch in _stream(table.query().where(VISIBLE).offset(done)):
        done += batch.num_rows
        yield Batch(rows_of(batch), f"{pin}:{done}")
    run(_release(table, lambda name: name == pin))


def batches_of(table: Any, condition: str) -> Iterator[Batch]:
    """The rows that a condition lets through, of the newest version, without a position to go on from."""
    return (Batch(rows_of(batch), "") for batch in batches_at(table, f"{VISIBLE} AND {condition}"))


def batches_at(table: Any, condition: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The same as they are, or some columns of them."""
    guarded(lambda: run(_stay(table)))
    query = table.query().where(condition)
    return _stream(query if columns is None else query.select(columns))


async def _stay(table: Any) -> None:
    await table.checkout(await table.version())


def _stream(query: Any) -> Iterator[pa.RecordBatch]:
    stream = guarded(lambda: run(query.to_batches(max_batch_length=_BATCH)))

    async def following() -> pa.RecordBatch | None:
        return await anext(stream, None)

    while (batch := guarded(lambda: run(following()))) is not None:
        yield batch


async def release_old(table: Any) -> None:
    """Let compaction have the versions of readers that were cut short long ago."""
    limit = time.time_ns() - _KEEP_S * 1e9
    await _release(table, lambda name: name.startswith(_PIN) and float(name.rpartition("-")[2]) < limit)


async def _release(table: Any, is_done: Callable[[str], bool]) -> None:
    with contextlib.suppress(RuntimeError, OSError, ValueError):
        for name in [each for each in await table.tags.list() if is_done(each)]:
            await table.tags.delete(name)
