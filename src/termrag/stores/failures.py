"""What LanceDB's errors mean, told by their text (it has no types for them): retry, refresh, or a TermragError."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from termrag.errors import StoreBusy, StoreUnavailable

_TRIES = 4
_T = TypeVar("_T")


def guarded(call: Callable[[], _T], refresh: Callable[[], object] | None = None) -> _T:
    """Run `call`. A commit conflict is tried three times more, then raises StoreBusy; a file that compaction took away
    is looked for once more after `refresh`; anything else that the store raises becomes StoreUnavailable."""
    refreshed = False
    for attempt in range(_TRIES):
        try:
            return call()
        except (RuntimeError, OSError) as error:
            text = str(error)
            if _is_conflict(text):
                if attempt == _TRIES - 1:
                    raise StoreBusy("other writers kept changing the index", "Try again in a moment.") from error
                time.sleep(random.uniform(0.02, 0.1) * 2**attempt)
            elif _is_stale(text) and refresh is not None and not refreshed:
                refreshed = True
                _refresh(refresh)
            else:
                raise unavailable(error) from error
    raise StoreBusy("other writers kept changing the index", "Try again in a moment.")


def unavailable(error: Exception) -> StoreUnavailable:
    """The StoreUnavailable that names what a store's error means."""
    text = str(error)
    if "No space left" in text or "os error 28" in text:
        return StoreUnavailable(
            "the disk is full; the index is as it was before", "Free some disk space, then run it again."
        )
    if "Permission denied" in text or "os error 13" in text or "Read-only file system" in text:
        return StoreUnavailable("the index cannot be written to: permission denied", "termrag doctor")
    if _is_stale(text):
        return StoreUnavailable("files of the index are missing; it may have just been rebuilt", "termrag doctor")
    first_line = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    return StoreUnavailable(f"the index failed: {first_line[:300]}", "termrag doctor")


def _refresh(refresh: Callable[[], object]) -> None:
    try:
        refresh()
    except (RuntimeError, OSError) as error:
        raise unavailable(error) from error


def _is_conflict(text: str) -> bool:
    return "commit conflict" in text.lower() or "Incompatible transaction" in text


def _is_stale(text: str) -> bool:
    return "Not found" in text and ".lance" in text
