"""Models on their way to this machine: started, followed, stopped, gone on with; they outlive the screen that shows
them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from termrag.errors import TermragError

if TYPE_CHECKING:
    from textual.worker import Worker

    from termrag.tui.app import TermragApp


@dataclass(slots=True)
class Pull:
    """One model that is fetched. It has ended when `worker` is None: `is_done`, failed with `error`, or stopped."""

    name: str
    total_bytes: int
    what: str = ""  # is done with it beside fetching
    is_done: bool = False
    error: TermragError | None = None
    worker: Worker[None] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _files: dict[str, int] = field(default_factory=dict)

    @property
    def is_running(self) -> bool:
        return self.worker is not None

    @property
    def done_bytes(self) -> int:
        return sum(self._files.values())

    @property
    def share(self) -> float:
        return min(self.done_bytes / self.total_bytes, 1.0) if self.total_bytes else 0.0

    def note(self, file: str, done_bytes: int) -> None:
        self._files[file] = done_bytes
        self.what = ""


class Pulls:
    """All of them, by name."""

    def __init__(self, app: TermragApp) -> None:
        self._app = app
        self._pulls: dict[str, Pull] = {}

    def get(self, name: str) -> Pull | None:
        """What is known of the last time that it was fetched here."""
        return self._pulls.get(name)

    def running(self) -> list[Pull]:
        return [each for each in self._pulls.values() if each.is_running]

    def start(self, name: str, size_bytes: int, then: Callable[[], object] = lambda: None) -> Pull:
        """Fetch a model, from where it was stopped if it was; `then` is called when it is there."""
        pull = self._pulls.get(name)
        if pull is not None and pull.is_running:
            return pull
        pull = self._pulls[name] = Pull(name, size_bytes)
        pull.worker = self._app.run_worker(self._run(pull, then), group=f"pull {name}", exit_on_error=False)
        return pull

    def stop(self, name: str) -> bool:
        """Stop fetching; False if it is not fetched."""
        pull = self._pulls.get(name)
        if pull is None or pull.worker is None:
            return False
        pull.worker.cancel()
        return True

    async def _run(self, pull: Pull, then: Callable[[], object]) -> None:
        from termrag.events import Downloading, Preparing

        try:
            async with aclosing(self._app.rag.pull(pull.name)) as events:
                async for event in events:
                    match event:
                        case Downloading(file, done, _):
                            pull.note(file, done)
                        case Preparing(what):
                            pull.what = f"preparing {what}"
                        case _:
                            pass
            pull.is_done = True
        except TermragError as error:
            pull.error = error
            raise
        finally:
            pull.worker = None
            pull.ended.set()
        then()
