"""The watching process: until it is told to stop, with its settings as they are when it is told to read them anew."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from termrag.rag import Rag
    from termrag.watcher import WatchEvent


async def keep_watching(
    open_rag: Callable[[], Rag],
    show: Callable[[WatchEvent], None],
    *,
    once: bool = False,
    poll: bool = False,
    sure: bool = False,
) -> None:
    """Watch until SIGTERM or SIGINT; SIGHUP opens everything anew. What is finished when it ends is kept, and the
    commit in hand is completed. Raises LibraryBusy if another process watches this library."""

    async def watch() -> None:
        async with open_rag() as rag, contextlib.aclosing(rag.watch(once=once, poll=poll, sure=sure)) as events:
            async for event in events:
                show(event)

    loop = asyncio.get_running_loop()
    reload = True
    while reload:
        reload = False
        task = asyncio.ensure_future(watch())

        def end(task: asyncio.Future[None], again: bool) -> None:
            nonlocal reload
            reload = again
            task.cancel()

        handlers = {signal.SIGTERM: False, signal.SIGINT: False, signal.SIGHUP: True}
        for number, again in handlers.items():
            loop.add_signal_handler(number, end, task, again)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)
