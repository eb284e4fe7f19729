"""The watching process: until it is told to stop, with its settings as they are when it is told to read them anew."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from termrag.events import Rested

if TYPE_CHECKING:
    from termrag.rag import Rag
    from termrag.watcher import WatchEvent

# Libraries that keep their memory for as long as the process lives.
_HEAVY = ("lancedb", "onnxruntime", "mlx")


async def keep_watching(
    open_rag: Callable[[], Rag],
    show: Callable[[WatchEvent], None],
    *,
    begin_anew: Callable[[], None] | None = None,
    once: bool = False,
    poll: bool = False,
    sure: bool = False,
) -> None:
    """Watch until SIGTERM or SIGINT; SIGHUP opens everything anew. What is finished when it ends is kept, and the
    commit in hand is completed. Raises LibraryBusy if another process watches this library.

    `begin_anew` replaces this process by a fresh one, without what only work needs; it is called when work is done.
    """

    async def watch() -> bool:
        """Whether there is memory to be given back."""
        async with open_rag() as rag, contextlib.aclosing(rag.watch(once=once, poll=poll, sure=sure)) as events:
            async for event in events:
                if isinstance(event, Rested) and begin_anew and any(name in sys.modules for name in _HEAVY):
                    return True
                show(event)
        return False

    while True:
        is_heavy, reload = await _until_told(watch)
        if is_heavy and begin_anew:
            begin_anew()
        if not reload:
            return


async def _until_told(watch: Callable[[], Coroutine[Any, Any, bool]]) -> tuple[bool, bool]:
    """What `watch` returned, and whether it was ended in order to begin again."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(watch())
    told: list[bool] = []

    def end(again: bool) -> None:
        told.append(again)
        task.cancel()

    handlers = {signal.SIGTERM: False, signal.SIGINT: False, signal.SIGHUP: True}
    for number, again in handlers.items():
        loop.add_signal_handler(number, end, again)
    try:
        return await task, False
    except asyncio.CancelledError:
        return False, bool(told and told[-1])
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
