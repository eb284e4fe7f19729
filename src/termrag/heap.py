"""What the process's allocator keeps of freed memory, and what the collector looks through again and again."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys

_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
_THRESHOLDS = gc.get_threshold()


def share_arenas() -> None:
    """Let threads share glibc's arenas; elsewhere there is nothing to do. With one for each of LanceDB's, freed memory
    lies about in all of them: filling in the vectors of 40,000 chunks, a process grew to 700 MB. So it stays at 330 MB
    and takes no longer."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another libc than glibc
            ctypes.CDLL(None).mallopt(_ARENA_MAX, max(2, (os.cpu_count() or 2) // 2))


def return_memory() -> None:
    """Collect what is unreachable and give freed pages back to the system: glibc keeps them otherwise."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def settle() -> None:
    """Let the collector pass over all that is loaded by now: it stays as long as the process. Garbage among it stays as
    well, so do this once. What comes later it looks through whole a tenth as often: each time holds up every thread,
    for a tenth of a second where a server remembers what it has read."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS[:2], 10 * _THRESHOLDS[2])


def unsettle() -> None:
    """Let the collector see everything again, as often as before."""
    gc.unfreeze()
    gc.set_threshold(*_THRESHOLDS)
