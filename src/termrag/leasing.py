"""Who may write a folder's documents into a store that several machines share: one, for as long as its lease runs.

The ledger's locks keep the processes of one machine apart; a lease in the store keeps machines apart. It is lengthened
while there is work, and runs out by itself where its holder is gone.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TypeVar

from termrag.errors import LibraryBusy, TermragError
from termrag.parts import Parts

T = TypeVar("T")

_SHORTEST_S = 600.0
_RENEW_S = 60.0


def is_shared(parts: Parts) -> bool:
    """Whether the configuration puts the store where other machines reach it."""
    config = parts.config
    return bool(config.lancedb.uri if config.library.store == "lancedb" else config.qdrant.url)


def held(parts: Parts, folders: Sequence[str], events: Generator[T, None, None]) -> Iterator[T]:
    """Pass the events on while this library holds the folders, and close their generator with this one. Raises
    LibraryBusy, naming who holds one, before any of the work is done."""
    if not is_shared(parts) or not folders:
        yield from events
        return
    take(parts, folders)
    due = time.monotonic() + _RENEW_S
    with closing(events):
        for event in events:
            if time.monotonic() >= due:
                take(parts, folders)
                due = time.monotonic() + _RENEW_S
            yield event


def take(parts: Parts, folders: Sequence[str]) -> None:
    """Hold the folders until two sweeps from now. Raises LibraryBusy."""
    until = time.time() + max(_SHORTEST_S, 2.5 * parts.config.watch.sweep_s)
    store, us = parts.store_for_writing(), _holder(parts)
    for folder in folders:
        lease = store.take_lease(folder, us, until)
        if lease.holder != us:
            end = datetime.fromtimestamp(lease.until, UTC).astimezone()
            raise LibraryBusy(
                f"{lease.holder} writes {folder} into this index, until {end:%H:%M:%S} or longer",
                "Stop it there (termrag watch stop), or watch another folder here.",
            )


def drop(parts: Parts, folders: Sequence[str]) -> None:
    """Give the folders up; a store that cannot be reached lets the leases run out."""
    if not is_shared(parts):
        return
    with suppress(TermragError):
        store = parts.store_for_writing()
        for folder in folders:
            store.drop_lease(folder, _holder(parts))


def _holder(parts: Parts) -> str:
    """This machine's library, whichever process it is: its own lock keeps those apart, and one that was killed is
    followed by the next at once."""
    return f"{socket.gethostname()} ({parts.library_folder})"
