"""What a run does while the server of its store does not answer: it says so, waits, and goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from termrag.errors import StoreUnreachable
from termrag.events import Notice

if TYPE_CHECKING:
    from termrag.stores import Store

_PAUSES_S = (1.0, 2.0, 5.0)

_T = TypeVar("_T")


def patiently(step: Callable[[], _T], patience_s: float) -> Generator[Notice, None, _T]:
    """Carry out a step that may be repeated, again and again for so long, and return what it gives. Raises
    StoreUnreachable when patience ends."""
    until = time.monotonic() + patience_s
    attempt = 0
    while True:
        try:
            return step()
        except StoreUnreachable as error:
            pause_s = min(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)], until - time.monotonic())
            if pause_s <= 0:
                raise
            attempt += 1
            yield Notice(f"paused for {pause_s:.0f} s: {error.message}")
            time.sleep(pause_s)


def tend(store: Store) -> None:
    """Maintain a store after a commit; what is not due now may wait until its server answers again."""
    with suppress(StoreUnreachable):
        store.maintain()
